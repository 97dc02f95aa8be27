"""The stages of a build, in the order of pipeline.build: what each depends on, and what it leaves."""
