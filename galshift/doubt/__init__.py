"""How far answers on unlabelled images can be believed: estimates of their accuracy, and a verdict."""
