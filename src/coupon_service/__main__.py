"""`python -m coupon_service` is `coupon-service`."""

from coupon_service.cli import main

main(prog_name="coupon-service")
