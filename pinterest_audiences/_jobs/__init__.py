"""Jobs: resumable uploads, mirrors and erasures, recorded in a state file."""
