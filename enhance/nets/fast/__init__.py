"""Network families that are fast on whole photographs, and the small ones that users compare with."""
