"""What a task means: its loss with labels, its scores and metrics, and what they are called."""
