//! WebSockets and other upgrades: the decision once, then bytes both ways.
