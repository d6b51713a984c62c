"""The BigQuery functions that this server knows. A name that is not here is refused before anything runs.

The check reads tokens, not the tree: sqlglot understands many names of other engines (NVL, DATEDIFF, LEN),
which BigQuery refuses, and the token has the position that the error message needs.
"""

from sqlglot.tokens import Token, TokenType

from local.cloud.bigquery.errors import invalid_query, unsupported

KNOWN = frozenset(
    """
    ABS ACOS ACOSH ANY_VALUE APPROX_COUNT_DISTINCT APPROX_QUANTILES APPROX_TOP_COUNT ARRAY ARRAY_AGG ARRAY_CONCAT
    ARRAY_CONCAT_AGG ARRAY_FIRST ARRAY_INCLUDES ARRAY_LAST ARRAY_LENGTH ARRAY_REVERSE ARRAY_SLICE ARRAY_TO_STRING
    ASCII ASIN ASINH ATAN ATAN2 ATANH AVG BIT_AND BIT_COUNT BIT_OR BIT_XOR BOOL BYTE_LENGTH CAST CBRT CEIL CEILING
    CHARACTER_LENGTH CHAR_LENGTH CHR COALESCE CODE_POINTS_TO_BYTES CODE_POINTS_TO_STRING CONCAT CONTAINS_SUBSTR CORR
    COS COSH COSINE_DISTANCE COT COTH COUNT COUNTIF COVAR_POP COVAR_SAMP CSC CSCH CUME_DIST CURRENT_DATE
    CURRENT_DATETIME CURRENT_TIME CURRENT_TIMESTAMP DATE DATETIME DATETIME_ADD DATETIME_BUCKET DATETIME_DIFF
    DATETIME_SUB DATETIME_TRUNC DATE_ADD DATE_BUCKET DATE_DIFF DATE_FROM_UNIX_DATE DATE_SUB DATE_TRUNC DENSE_RANK
    DIV EDIT_DISTANCE ENDS_WITH ERROR EUCLIDEAN_DISTANCE EXISTS EXP EXTRACT FARM_FINGERPRINT FIRST_VALUE FLOAT64 FLOOR FORMAT
    FORMAT_DATE FORMAT_DATETIME FORMAT_TIME FORMAT_TIMESTAMP FROM_BASE64 FROM_HEX GENERATE_ARRAY GENERATE_DATE_ARRAY
    GENERATE_TIMESTAMP_ARRAY GENERATE_UUID GREATEST GROUPING IEEE_DIVIDE IF IFNULL INITCAP INSTR INT64 IS_INF IS_NAN
    JSON_ARRAY JSON_EXTRACT JSON_EXTRACT_ARRAY JSON_EXTRACT_SCALAR JSON_EXTRACT_STRING_ARRAY JSON_OBJECT JSON_QUERY
    JSON_QUERY_ARRAY JSON_TYPE JSON_VALUE JSON_VALUE_ARRAY LAG LAST_DAY LAST_VALUE LAX_BOOL LAX_FLOAT64 LAX_INT64
    LAX_STRING LEAD LEAST LEFT LENGTH LN LOG LOG10 LOGICAL_AND LOGICAL_OR LOWER LPAD LTRIM MAX MAX_BY MD5 MIN MIN_BY
    MOD NORMALIZE NTH_VALUE NTILE NULLIF OCTET_LENGTH PARSE_DATE PARSE_DATETIME PARSE_JSON PARSE_NUMERIC PARSE_TIME
    PARSE_TIMESTAMP PERCENTILE_CONT PERCENTILE_DISC PERCENT_RANK POW POWER RAND RANGE_BUCKET RANK REGEXP_CONTAINS
    REGEXP_EXTRACT REGEXP_EXTRACT_ALL REGEXP_INSTR REGEXP_REPLACE REGEXP_SUBSTR REPEAT REPLACE REVERSE RIGHT ROUND
    ROW_NUMBER RPAD RTRIM SAFE_ADD SAFE_CAST SAFE_CONVERT_BYTES_TO_STRING SAFE_DIVIDE SAFE_MULTIPLY SAFE_NEGATE
    SAFE_SUBTRACT SEC SECH SHA1 SHA256 SIGN SIN SINH SPLIT SQRT STARTS_WITH STDDEV STDDEV_POP STDDEV_SAMP STRING
    STRING_AGG STRPOS STRUCT SUBSTR SUBSTRING SUM TAN TANH TIME TIMESTAMP TIMESTAMP_ADD TIMESTAMP_BUCKET
    TIMESTAMP_DIFF TIMESTAMP_MICROS TIMESTAMP_MILLIS TIMESTAMP_SECONDS TIMESTAMP_SUB TIMESTAMP_TRUNC TIME_ADD
    TIME_DIFF TIME_SUB TIME_TRUNC TO_BASE64 TO_CODE_POINTS TO_HEX TO_JSON TO_JSON_STRING TRANSLATE TRIM TRUNC
    UNICODE UNIX_DATE UNIX_MICROS UNIX_MILLIS UNIX_SECONDS UPPER VARIANCE VAR_POP VAR_SAMP
    """.split()
)
# Functions that BigQuery has and this server does not: a different sentence, so that nobody hunts for a typo.
ABSENT = frozenset(
    """
    APPENDS APPROX_TOP_SUM BAG_OF_WORDS BOOL_ARRAY CHANGES COLLATE DLP_DETERMINISTIC_ENCRYPT EXTERNAL_QUERY
    FLOAT64_ARRAY GAP_FILL GENERATE_RANGE_ARRAY INT64_ARRAY ISOLATION JSON_ARRAY_APPEND
    JSON_ARRAY_INSERT JSON_FLATTEN JSON_KEYS JSON_REMOVE JSON_SET JSON_STRIP_NULLS JUSTIFY_DAYS JUSTIFY_HOURS
    JUSTIFY_INTERVAL LAX_BOOL_ARRAY LAX_FLOAT64_ARRAY LAX_INT64_ARRAY LAX_STRING_ARRAY MAKE_INTERVAL ML
    NORMALIZE_AND_CASEFOLD PARSE_BIGNUMERIC RANGE RANGE_CONTAINS RANGE_END RANGE_INTERSECT RANGE_OVERLAPS
    RANGE_SESSIONIZE RANGE_START SEARCH SESSION_USER SHA512 SOUNDEX STRING_ARRAY ST_AREA ST_DISTANCE ST_GEOGPOINT
    ST_WITHIN VECTOR_SEARCH
    """.split()
)
_ABSENT_FAMILIES = frozenset("AEAD AI D3A_COUNT HLL_COUNT KEYS KLL_QUANTILES ML NET OBJ".split())
# Words that may stand before a parenthesis without being functions.
_SYNTAX = frozenset(
    """
    AND ALL ANY AS BETWEEN BY CASE CLUSTER CUBE DISTINCT ELSE EXCEPT FROM FILTER FOR GROUP GROUPING HAVING IN INTERSECT
    INTO IS JOIN LIKE LIMIT NOT OFFSET ON OPTIONS OR ORDER ORDINAL OVER PARTITION PIVOT QUALIFY RANGE REPLACE ROLLUP
    ROWS SAFE_OFFSET SAFE_ORDINAL SELECT SETS SET SOME STRUCT TABLE THEN UNION UNNEST UNPIVOT USING VALUES VALUE WHEN
    WHERE WINDOW WITH RECURSIVE INSERT WEEK NULLS NULL END NUMERIC DECIMAL STRING BYTES LEFT RIGHT INNER CROSS OUTER
    FULL SYSTEM INTERVAL EXTEND AGGREGATE TABLESAMPLE AGAINST EXTRACT ESCAPE RETURN COLUMN
    """.split()
)
NONDETERMINISTIC = frozenset(
    "RAND GENERATE_UUID CURRENT_DATE CURRENT_DATETIME CURRENT_TIME CURRENT_TIMESTAMP SESSION_USER".split()
)


def check(sql: str, tokens: list[Token]) -> frozenset[str]:
    """The functions called; raises for one that is unknown, with its place."""
    check_set_operations(sql, tokens)
    called = set()
    openers: list[str] = []  # the word before each parenthesis that is open
    for index, token in enumerate(tokens):
        name = token.text.upper()
        if token.token_type == TokenType.MOD and token.text == "%":
            raise invalid_query(f'Syntax error: Illegal input character "%" at {place(sql, token.start)}')
        if token.token_type == TokenType.L_PAREN:
            openers.append(tokens[index - 1].text.upper() if index else "")
        elif token.token_type == TokenType.R_PAREN and openers:
            openers.pop()
        elif name == "FORMAT" and openers and openers[-1] in ("CAST", "SAFE_CAST"):
            raise unsupported(
                f"CAST … FORMAT at {place(sql, token.start)}; use FORMAT_DATE, FORMAT_TIMESTAMP, PARSE_DATE or PARSE_TIMESTAMP"
            )
        if index + 1 >= len(tokens) or tokens[index + 1].token_type != TokenType.L_PAREN:
            if name in ("CURRENT_DATE", "CURRENT_TIMESTAMP", "CURRENT_DATETIME", "CURRENT_TIME"):
                called.add(name)
            continue
        if token.token_type in (TokenType.IDENTIFIER, TokenType.STRING) or not _is_word(name):
            continue
        before = tokens[index - 1] if index else None
        if before is not None and before.token_type == TokenType.DOT:
            prefix = tokens[index - 2].text.upper() if index >= 2 else ""
            if prefix == "SAFE" and name in ("CAST", "SAFE_CAST"):
                raise invalid_query(
                    f"Syntax error: Unexpected keyword CAST at {place(sql, token.start)}; use SAFE_CAST"
                )
            if prefix != "SAFE":
                if index > 2 and tokens[index - 3].text.upper() == "FUNCTION":
                    raise unsupported(f"user-defined functions at {place(sql, tokens[index - 3].start)}")
                if _inserted_into(tokens, index):
                    continue
                if prefix in _ABSENT_FAMILIES:
                    raise unsupported(f"function {prefix}.{name} at {place(sql, token.start)}")
                raise invalid_query(
                    f"Function not found: {tokens[index - 2].text}.{token.text} at {place(sql, token.start)}"
                )
        if before is not None and before.text.upper() == "FUNCTION":
            raise unsupported(f"user-defined functions at {place(sql, before.start)}")
        if name == "JSON_OBJECT" and index + 2 < len(tokens) and tokens[index + 2].text.upper() == "KEY":
            # The parser takes it for the KEY … VALUE syntax of other engines.
            raise unsupported(f"JSON_OBJECT of a column named key at {place(sql, token.start)}; alias it")
        if name in KNOWN:
            called.add(name)
            continue
        if name in ABSENT or name.startswith(("ST_", "ML_", "HLL_", "NET_", "KEYS_", "AEAD_")):
            raise unsupported(f"function {name} at {place(sql, token.start)}")
        # `ORDER BY` and `GROUPING SETS` are one token each, with whatever space the author left between.
        if set(name.split()) <= _SYNTAX or _inserted_into(tokens, index) or _defines(tokens, index):
            continue
        raise invalid_query(f"Function not found: {token.text} at {place(sql, token.start)}")
    return frozenset(called)


def check_set_operations(sql: str, tokens: list[Token]) -> None:
    """Different set operations need parentheses: sqlglot would give INTERSECT precedence, which BigQuery doesn't."""
    levels: list[str] = [""]
    for index, token in enumerate(tokens[:-1]):
        name = token.text.upper()
        if token.token_type == TokenType.L_PAREN:
            levels.append("")
        elif token.token_type == TokenType.R_PAREN and len(levels) > 1:
            levels.pop()
        elif name in ("UNION", "INTERSECT", "EXCEPT") and tokens[index + 1].token_type != TokenType.L_PAREN:
            if token.token_type in (TokenType.IDENTIFIER, TokenType.STRING):
                continue
            operation = f"{name} {tokens[index + 1].text.upper()}"
            if operation in ("INTERSECT ALL", "EXCEPT ALL"):
                raise unsupported(f"{operation} at {place(sql, token.start)}")
            if levels[-1] not in ("", operation):
                raise invalid_query(
                    "Syntax error: Different set operations cannot be used in the same query without using parentheses "
                    f"for grouping at {place(sql, token.start)}"
                )
            levels[-1] = operation


def _is_word(name: str) -> bool:
    return bool(name) and (name[0].isalpha() or name[0] == "_")


def _inserted_into(tokens: list[Token], index: int) -> bool:
    """Whether the name is the target of INSERT INTO or CREATE TABLE, followed by its column list."""
    start = index
    while start >= 2 and tokens[start - 1].token_type in (TokenType.DOT, TokenType.DASH):
        start -= 2
    words = {t.text.upper() for t in tokens[max(0, start - 3) : start]}
    return bool(words & {"INTO", "INSERT", "TABLE", "VIEW", "EXISTS", "MERGE"})


def _defines(tokens: list[Token], index: int) -> bool:
    """Whether the parenthesis follows a table alias or a column name of a UNPIVOT, not a call."""
    return index > 0 and tokens[index - 1].text.upper() == "AS"


def place(sql: str, offset: int) -> str:
    """`[line:column]` of an offset, both from 1."""
    head = sql[:offset]
    return f"[{head.count(chr(10)) + 1}:{offset - (head.rfind(chr(10)) + 1) + 1}]"
