"""The web app: a Streamlit front end of the served ensemble."""
