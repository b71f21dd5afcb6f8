"""Switch-safe transcripts: what of a conversation another model than the one that wrote it may see.

`docs/transcripts.md` has the table. Pure functions: the conversation itself is never changed.
"""

from langchain_taskrouter.transcripts.conversion import transcript_for
from langchain_taskrouter.transcripts.pins import may_continue
from langchain_taskrouter.transcripts.speakers import Speaker, Standing, speaker_of, speakers_of, spoken_by, standing

__all__ = [
    "Speaker",
    "Standing",
    "may_continue",
    "speaker_of",
    "speakers_of",
    "spoken_by",
    "standing",
    "transcript_for",
]
