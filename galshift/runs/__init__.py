"""What a finished run left, and what it says of images: classifiers, test sets, answers, partial results."""
