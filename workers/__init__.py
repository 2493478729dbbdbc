"""Workers: claim a job, run the pipeline, report; the only bridge between jobs and pipeline."""
