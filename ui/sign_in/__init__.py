"""Who is signed in, where people sign in: Streamlit's OIDC, its cookie, the sessions that ended."""
