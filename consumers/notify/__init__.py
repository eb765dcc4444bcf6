"""The stage `notify`: alerts and what happens to the pipeline itself, told to people."""
