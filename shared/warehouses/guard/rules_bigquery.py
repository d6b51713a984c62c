"""What a read-only BigQuery statement may be made of, by sqlglot's names of its nodes.

Left out on purpose: everything that tells who asks (SESSION_USER), talks to
another system or a model (EXTERNAL_QUERY, ML.*, AI.*, remote functions), handles keys (KEYS.*, AEAD.*),
raises text of its own (ERROR), looks into the past (FOR SYSTEM_TIME) and every user-defined function.
"""

from __future__ import annotations

from shared.warehouses.guard.rules import Rules

_NODES = frozenset(
    """
    Add Alias Aliases All Any AtTimeZone Between BitwiseAnd BitwiseLeftShift BitwiseNot BitwiseOr
    BitwiseRightShift BitwiseXor Boolean Bracket ByteString CTE Column ColumnDef Cube DPipe DataType
    DataTypeParam Distinct Div Dot EQ Except Fetch Filter From GT GTE Group GroupingSets Having HavingMax
    HexString Identifier IgnoreNulls In IntDiv Intersect Interval IntervalSpan Is JSONKeyValue JSONPath
    JSONPathKey JSONPathRoot JSONPathSelector JSONPathSubscript JSONPathWildcard Join LT LTE Like Limit
    Literal Mod Mul NEQ Neg Not Null NullSafeEQ NullSafeNEQ Offset Order Ordered Parameter Paren Pivot
    PivotAlias PropertyEQ Qualify RawString RespectNulls Rollup Select Slice Star Sub Subquery Table
    TableAlias TableSample Tuple Union UnpivotColumns Var Where Window WindowSpec With
""".split()
)

_FUNCTIONS = frozenset(
    """
    Abs Acos Acosh And AnyValue ApproxDistinct ApproxQuantiles ApproxTopK ApproxTopSum ArgMax ArgMin Array
    ArrayAgg ArrayConcat ArrayConcatAgg ArrayFirst ArrayLast ArrayReverse ArraySize ArraySlice
    ArrayToString Ascii Asin Asinh Atan Atan2 Atanh Avg BitwiseAndAgg BitwiseCount BitwiseOrAgg
    BitwiseXorAgg ByteLength Case Cast Cbrt Ceil Chr Coalesce CodePointsToBytes CodePointsToString Collate
    Concat Contains Corr Cos Cosh CosineDistance Cot Coth Count CountIf CovarPop CovarSamp Csc Csch
    CumeDist CurrentDate CurrentDatetime CurrentTime CurrentTimestamp Date DateAdd DateDiff DateFromParts
    DateFromUnixDate DateSub DateTrunc Datetime DatetimeAdd DatetimeDiff DatetimeSub DatetimeTrunc DenseRank
    EndsWith EuclideanDistance Exists Exp Extract FarmFingerprint FirstValue Float64 Floor Format
    FromBase32 FromBase64 GenerateDateArray GenerateSeries GenerateTimestampArray Greatest GroupConcat
    Grouping Host If Initcap Int64 IsInf IsNan JSONArray JSONArrayAppend JSONBool JSONExtract
    JSONExtractArray JSONExtractScalar JSONFormat JSONKeysAtDepth JSONObject JSONRemove JSONSet
    JSONStripNulls JSONType JSONValueArray JustifyDays JustifyHours JustifyInterval Lag LastDay LastValue
    LaxBool LaxFloat64 LaxInt64 LaxString Lead Least Left Length Levenshtein Ln Log LogicalAnd LogicalOr
    Lower LowerHex MD5Digest MakeInterval Max Min NetFunc Normalize NthValue Ntile Nullif Or Pad
    ParseBignumeric ParseDatetime ParseJSON ParseNumeric ParseTime PercentRank PercentileCont
    PercentileDisc Pow Rand RangeBucket Rank RegDomain RegexpExtract RegexpExtractAll RegexpInstr
    RegexpLike RegexpReplace Repeat Replace Reverse Right Round RowNumber SHA1Digest SHA2Digest SafeAdd
    SafeConvertBytesToString SafeDivide SafeFunc SafeMultiply SafeNegate SafeSubtract Sec Sech Sign Sin
    Sinh Soundex Split Sqrt StDistance StartsWith Stddev StddevPop StddevSamp StrPosition StrToDate
    StrToTime String Struct Substring Sum Tan Tanh Time TimeAdd TimeDiff TimeFromParts TimeSub TimeToStr
    TimeTrunc Timestamp TimestampAdd TimestampDiff TimestampFromParts TimestampSub TimestampTrunc ToBase32
    ToBase64 ToCodePoints Translate Trim Trunc TryCast TsOrDsToDate TsOrDsToDatetime TsOrDsToTime
    TsOrDsToTimestamp Unhex Unicode UnixDate UnixMicros UnixMillis UnixSeconds UnixToTime Unnest Upper
    Uuid Variance VariancePop WeekStart Xor
""".split()
)

# Functions that the parser has no class for, by what they are called on.
_PLAIN_NAMES = frozenset(
    """
    DATE_BUCKET DATETIME_BUCKET IEEE_DIVIDE NULLIFZERO TIMESTAMP_BUCKET ZEROIFNULL RANGE_START RANGE_END
    ST_AREA ST_ASGEOJSON ST_ASTEXT ST_BUFFER ST_CENTROID ST_CONTAINS ST_DWITHIN ST_GEOGFROMTEXT
    ST_GEOGPOINT ST_GEOHASH ST_INTERSECTS ST_LENGTH ST_WITHIN ST_X ST_Y
""".split()
)
_NET_NAMES = frozenset(
    """
    IPV4_FROM_INT64 IPV4_TO_INT64 IP_FROM_STRING IP_NET_MASK IP_TO_STRING IP_TRUNC PUBLIC_SUFFIX
    SAFE_IP_FROM_STRING
""".split()
)
_HLL_NAMES = frozenset(("EXTRACT", "INIT", "MERGE", "MERGE_PARTIAL"))

RULES = Rules(
    nodes=_NODES,
    functions=_FUNCTIONS,
    plain_names=_PLAIN_NAMES,
    on_names={"NET": _NET_NAMES, "HLL_COUNT": _HLL_NAMES},
    wildcards=True,
    metadata_prefixes=("__",),
)
