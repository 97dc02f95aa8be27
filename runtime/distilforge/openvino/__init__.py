"""What OpenVINO needs: its settings, its cache of compiled models, and its engine."""
