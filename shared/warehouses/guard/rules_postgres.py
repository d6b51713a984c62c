"""What a read-only Postgres statement may be made of, by sqlglot's names of its nodes.

Left out on purpose: INTO, row locks, everything that reads files or the server's settings (pg_read_file,
current_setting), sleeps, sends, dials (dblink), changes a sequence, runs text as SQL (query_to_xml), looks into
the system's catalogs, casts to names of objects (regclass) and every user-defined function, type and operator.
"""

from __future__ import annotations

from shared.warehouses.guard.rules import Rules

RULES = Rules(
    nodes=frozenset(
        """
        Add Alias Aliases All Any AtTimeZone Between BitwiseAnd BitwiseLeftShift BitwiseNot
        BitwiseOr BitwiseRightShift BitwiseXor Boolean Bracket ByteString Column ColumnDef CTE Cube
        DataType DataTypeParam Distinct Div Dot DPipe EQ Escape Except Fetch Filter From Group
        GroupingSets GT GTE Having HexString Identifier ILike In Intersect Interval IntervalSpan Is
        Join JSONPath JSONPathKey JSONPathRoot JSONPathSubscript Kwarg Lambda Lateral Like Limit
        LimitOptions Literal LT LTE Mod Mul National Neg NEQ Not Null NullSafeEQ NullSafeNEQ Offset
        Order Ordered Parameter Paren RawString Rollup Select SimilarTo Slice Star Sub Subquery
        Table TableAlias TableSample Tuple Union Values Var Where Window WindowSpec With WithinGroup
        """.split()
    ),
    functions=frozenset(
        """
        Abs Acos Acosh And Array ArrayAgg ArrayConcat ArrayContainedBy ArrayContainsAll
        ArrayOverlaps ArraySize ArrayToString Ascii Asin Asinh Atan Atan2 Atanh Avg BitwiseAndAgg
        BitwiseOrAgg BitwiseXorAgg Case Cast Cbrt Ceil Chr Coalesce Concat ConcatWs Corr Cos Cosh
        Cot Count CovarPop CovarSamp CumeDist CurrentDate CurrentTime CurrentTimestamp Date DateAdd
        DateBin DateDiff DateFromParts DateSub DateTrunc Degrees DenseRank Exists Exp Explode
        ExplodingGenerateSeries Extract FirstValue Floor Format GenerateSeries Greatest GroupConcat
        Grouping If Initcap JSONArrayAgg JSONBContains JSONBContainsAllTopKeys
        JSONBContainsAnyTopKeys JSONBContainsTopKey JSONBExtract JSONBExtractScalar JSONBObjectAgg
        JSONExtract JSONExtractScalar JSONObject JSONObjectAgg JustifyDays JustifyHours
        JustifyInterval Lag LastValue Lead Least Left Length Ln Localtime Localtimestamp Log
        LogicalAnd LogicalOr Lower MakeInterval Max MD5 Min Mode NthValue Ntile Nullif Or Overlay
        Pad PercentileCont PercentileDisc PercentRank Pi Pow Quarter Radians Rand Rank RegexpExtract
        RegexpILike RegexpInstr RegexpLike RegexpReplace RegexpSplit RegrAvgx RegrAvgy RegrCount
        RegrIntercept RegrR2 RegrSlope RegrSxx RegrSxy RegrSyy Repeat Replace Reverse Right Round
        RowNumber SHA2 Sign Sin Sinh Split SplitPart Sqrt StartsWith Stddev StddevPop StddevSamp
        StringToArray StrPosition StrToDate StrToTime Substring Sum Tan Tanh TimestampAdd
        TimestampFromParts TimestampSub TimestampTrunc TimeToStr ToChar ToNumber Translate Trim
        Trunc TryCast TsOrDsToDate UnixToTime Unnest Upper Uuid Variance VariancePop WidthBucket Xor
        """.split()
    ),
    plain_names=frozenset(
        """
        AGE ARRAY_POSITION ARRAY_REMOVE ARRAY_TO_JSON BTRIM CARDINALITY DATE_PART EVERY ISFINITE
        JSONB_ARRAY_ELEMENTS_TEXT JSONB_ARRAY_LENGTH JSONB_TYPEOF JSON_ARRAY_LENGTH JSON_TYPEOF MAKE_DATE MAKE_TIME
        NUM_NONNULLS NUM_NULLS QUOTE_IDENT QUOTE_LITERAL TO_JSON TO_JSONB
        """.split()
    ),
    types=frozenset(
        """
        ARRAY BIGINT BIT BOOLEAN CHAR DATE DECIMAL DOUBLE FLOAT INT INTERVAL JSON JSONB NCHAR SMALLINT TEXT TIME
        TIMESTAMP TIMESTAMPTZ UUID VARBINARY VARCHAR
        """.split()
    ),
    table_functions=frozenset(("ExplodingGenerateSeries", "GenerateSeries")),
    metadata_schemas=frozenset(("INFORMATION_SCHEMA", "PG_CATALOG", "PG_TOAST")),
    metadata_prefixes=("PG_",),
)
