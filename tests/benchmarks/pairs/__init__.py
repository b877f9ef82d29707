"""One stored table of runs, pairs x rows x seeds x outputs, which rules are judged by so that nobody trains again."""
