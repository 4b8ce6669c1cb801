"""The measures, one module for each subject; `MEASURES` names them by row."""
