"""The BigQuery functions that this server knows. A name that is not here is refused before anything runs.

The check reads tokens, not the tree: sqlglot understands many names of other engines (NVL, DATEDIFF, LEN),
which BigQuery refuses, and the token has the position that the error message needs.
"""

from sqlglot.tokens import Token, TokenType

from local.bigquery.errors import invalid_query, unsupported

KNOWN = frozenset(
    """
    ABS ACOS ANY_VALUE APPROX_COUNT_DISTINCT APPROX_QUANTILES APPROX_TOP_COUNT ARRAY ARRAY_AGG ARRAY_CONCAT
    ARRAY_FIRST ARRAY_INCLUDES ARRAY_LAST ARRAY_LENGTH ARRAY_REVERSE ARRAY_TO_STRING ASIN ATAN ATAN2 AVG BIT_AND
    BIT_COUNT BIT_OR BIT_XOR BYTE_LENGTH CAST CBRT CEIL CEILING CHAR_LENGTH CHARACTER_LENGTH CHR COALESCE CONCAT
    CONTAINS_SUBSTR CORR COS COSH COUNT COUNTIF COVAR_POP COVAR_SAMP CUME_DIST CURRENT_DATE CURRENT_DATETIME
    CURRENT_TIME CURRENT_TIMESTAMP DATE DATETIME DATETIME_ADD DATETIME_DIFF DATETIME_SUB DATETIME_TRUNC DATE_ADD
    DATE_DIFF DATE_FROM_UNIX_DATE DATE_SUB DATE_TRUNC DENSE_RANK DIV EDIT_DISTANCE ENDS_WITH ERROR EXISTS EXP EXTRACT
    FIRST_VALUE FLOOR FORMAT FORMAT_DATE FORMAT_DATETIME FORMAT_TIME FORMAT_TIMESTAMP FROM_BASE64 FROM_HEX
    GENERATE_ARRAY GENERATE_DATE_ARRAY GENERATE_TIMESTAMP_ARRAY GENERATE_UUID GREATEST GROUPING IEEE_DIVIDE IF IFNULL
    INITCAP INSTR IS_INF IS_NAN JSON_EXTRACT JSON_EXTRACT_SCALAR JSON_QUERY JSON_VALUE JSON_VALUE_ARRAY LAG LAST_DAY
    LAST_VALUE LEAD LEAST LEFT LENGTH LN LOG LOG10 LOGICAL_AND LOGICAL_OR LOWER LPAD LTRIM MAX MAX_BY MD5 MIN MIN_BY
    MOD NTH_VALUE NTILE NULLIF OCTET_LENGTH PARSE_DATE PARSE_DATETIME PARSE_JSON PARSE_TIMESTAMP PERCENTILE_CONT
    PERCENTILE_DISC PERCENT_RANK POW POWER RAND RANGE_BUCKET RANK REGEXP_CONTAINS REGEXP_EXTRACT REGEXP_EXTRACT_ALL
    REGEXP_REPLACE REGEXP_SUBSTR REPEAT REPLACE REVERSE RIGHT ROUND ROW_NUMBER RPAD RTRIM SAFE_ADD SAFE_CAST
    SAFE_DIVIDE SAFE_MULTIPLY SAFE_NEGATE SAFE_SUBTRACT SHA1 SHA256 SIGN SIN SINH SPLIT SQRT STARTS_WITH STDDEV
    STDDEV_POP STDDEV_SAMP STRING_AGG STRPOS STRUCT SUBSTR SUBSTRING SUM TAN TANH TIME TIMESTAMP TIMESTAMP_ADD
    TIMESTAMP_DIFF TIMESTAMP_MICROS TIMESTAMP_MILLIS TIMESTAMP_SECONDS TIMESTAMP_SUB TIMESTAMP_TRUNC TIME_ADD
    TIME_DIFF TIME_SUB TIME_TRUNC TO_BASE64 TO_HEX TO_JSON TO_JSON_STRING TRANSLATE TRIM TRUNC UNIX_DATE UNIX_MICROS
    UNIX_MILLIS UNIX_SECONDS UPPER VARIANCE VAR_POP VAR_SAMP
    """.split()
)
# Functions that BigQuery has and this server does not: a different sentence, so that nobody hunts for a typo.
ABSENT = frozenset(
    """
    APPROX_TOP_SUM ARRAY_CONCAT_AGG ARRAY_SLICE ASCII BAG_OF_WORDS COLLATE CODE_POINTS_TO_BYTES CODE_POINTS_TO_STRING
    COSINE_DISTANCE DATE_BUCKET DATETIME_BUCKET EUCLIDEAN_DISTANCE FARM_FINGERPRINT FLOAT64 INT64 BOOL STRING
    JSON_ARRAY JSON_EXTRACT_ARRAY JSON_EXTRACT_STRING_ARRAY JSON_KEYS JSON_OBJECT JSON_QUERY_ARRAY JSON_SET JSON_TYPE
    JUSTIFY_DAYS JUSTIFY_HOURS JUSTIFY_INTERVAL LAX_BOOL LAX_FLOAT64 LAX_INT64 LAX_STRING MAKE_INTERVAL ML
    NORMALIZE NORMALIZE_AND_CASEFOLD PARSE_BIGNUMERIC PARSE_NUMERIC PARSE_TIME REGEXP_INSTR SAFE_CONVERT_BYTES_TO_STRING
    SESSION_USER SHA512 SOUNDEX ST_AREA ST_DISTANCE ST_GEOGPOINT ST_WITHIN TIMESTAMP_BUCKET TO_CODE_POINTS UNICODE
    VECTOR_SEARCH EXTERNAL_QUERY SEARCH ISOLATION
    """.split()
)
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
    called = set()
    for index, token in enumerate(tokens):
        name = token.text.upper()
        if index + 1 >= len(tokens) or tokens[index + 1].token_type != TokenType.L_PAREN:
            if name in ("CURRENT_DATE", "CURRENT_TIMESTAMP", "CURRENT_DATETIME", "CURRENT_TIME"):
                called.add(name)
            continue
        if token.token_type in (TokenType.IDENTIFIER, TokenType.STRING) or not _is_word(name):
            continue
        before = tokens[index - 1] if index else None
        if before is not None and before.token_type == TokenType.DOT:
            prefix = tokens[index - 2].text.upper() if index >= 2 else ""
            if prefix != "SAFE":
                if _inserted_into(tokens, index):
                    continue
                raise invalid_query(
                    f"Function not found: {tokens[index - 2].text}.{token.text} at {place(sql, token.start)}"
                )
        if name in KNOWN:
            called.add(name)
            continue
        if name in ABSENT or name.startswith(("ST_", "ML_", "HLL_", "NET_", "KEYS_", "AEAD_")):
            raise unsupported(f"function {name} at {place(sql, token.start)}")
        if name in _SYNTAX or _inserted_into(tokens, index) or _defines(tokens, index):
            continue
        raise invalid_query(f"Function not found: {token.text} at {place(sql, token.start)}")
    return frozenset(called)


def _is_word(name: str) -> bool:
    return bool(name) and (name[0].isalpha() or name[0] == "_")


def _inserted_into(tokens: list[Token], index: int) -> bool:
    """Whether the name is the target of INSERT INTO or CREATE TABLE, followed by its column list."""
    start = index
    while start >= 2 and tokens[start - 1].token_type in (TokenType.DOT, TokenType.DASH):
        start -= 2
    words = {t.text.upper() for t in tokens[max(0, start - 3) : start]}
    return bool(words & {"INTO", "INSERT", "TABLE", "EXISTS", "MERGE"})


def _defines(tokens: list[Token], index: int) -> bool:
    """Whether the parenthesis follows a table alias or a column name of a UNPIVOT, not a call."""
    return index > 0 and tokens[index - 1].text.upper() == "AS"


def place(sql: str, offset: int) -> str:
    """`[line:column]` of an offset, both from 1."""
    head = sql[:offset]
    return f"[{head.count(chr(10)) + 1}:{offset - (head.rfind(chr(10)) + 1) + 1}]"
