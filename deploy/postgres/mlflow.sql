-- of profile mlflow; run once, when the data folder is new
CREATE DATABASE mlflow;
