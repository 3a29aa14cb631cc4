"""Looks for what is wrong or will be: findings are values, each made by one pure rule from what was looked at."""
