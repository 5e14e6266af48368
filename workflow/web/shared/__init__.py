"""What every web application of this product shares: shell, security, forms. Knows neither the desk nor the console."""
