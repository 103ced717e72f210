"""A demonstration: who is asking, where this runs, and that a slider answers.

Run by Streamlit as the person signed in, when there is no ~/streamlit/app.py.
"""

import os
import platform
import pwd

import streamlit as st

headers = st.context.headers
name = headers.get("X-Forwarded-User", "nobody")
visitor = headers.get("X-Forwarded-Visitor")
me = pwd.getpwuid(os.getuid())

st.set_page_config(page_title="Streamlit")
st.title(f"Hello, {name}")
if visitor:
    st.info(f"{visitor} is visiting.")
st.write(f"This script runs as **{me.pw_name}** (uid {me.pw_uid}) on {platform.node()}.")
count = st.slider("How many points?", 5, 100, 25)
st.line_chart([n * n for n in range(count)])
st.caption(f"Put a script of your own at {me.pw_dir}/streamlit/app.py, and start this again.")
