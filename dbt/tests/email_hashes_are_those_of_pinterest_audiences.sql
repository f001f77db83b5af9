{{ pinterest_audiences.email_differences() }}
