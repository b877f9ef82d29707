"""One stored table of runs, pairs x rows x seeds x outputs: rules are judged by it without a training."""
