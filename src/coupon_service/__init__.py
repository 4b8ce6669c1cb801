"""First-come-first-served coupon campaigns over Connect."""
