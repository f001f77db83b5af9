"""Token refresh, token stores and the login flow."""
