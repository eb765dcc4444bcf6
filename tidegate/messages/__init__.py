"""Every message that crosses a topic: frames between the steps, JSON documents at the edges."""
