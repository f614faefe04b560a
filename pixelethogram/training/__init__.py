"""What the stages share: losses, the classifier task, the one trainer."""
