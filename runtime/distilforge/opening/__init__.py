"""From a release's folder to a session: select a variant (`selection`, `ranking`) and load it (`open`)."""
