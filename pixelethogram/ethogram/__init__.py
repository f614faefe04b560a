"""What the scientist wants: thresholds, bouts, scores, plots. numpy only, no torch."""
