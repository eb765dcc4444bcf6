"""The page that scores one transaction without sending it anywhere."""
