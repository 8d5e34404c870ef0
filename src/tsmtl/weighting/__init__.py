"""How several tasks share one training: methods that weigh their losses, or their gradients."""
