"""The API's endpoints, a file for each subject."""
