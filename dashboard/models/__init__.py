"""The page of the models: who decides, how good each is, and what comes next."""
