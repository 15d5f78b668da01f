"""The steps. A step that was released is never edited; a new one is added."""
