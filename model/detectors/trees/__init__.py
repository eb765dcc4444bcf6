"""Boosted trees: LightGBM and XGBoost train them, one compiled loop walks them."""
