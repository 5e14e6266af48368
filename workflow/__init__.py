"""License Desk: an approval workflow in front of the license signature."""
