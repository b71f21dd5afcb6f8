"""What a trace viewer makes of our spans: real agents, a real Phoenix, its answers and its pictures."""
