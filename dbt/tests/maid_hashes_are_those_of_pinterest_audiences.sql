{{ pinterest_audiences.maid_differences() }}
