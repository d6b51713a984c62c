DROP TABLE prompt_blocks, tool_cache, session_facts, model_calls, turn_journal, turns, sessions;
