-- DuckDB macros that behave like the BigQuery functions of the same names; the modules of `lowering` call them.
-- The engine makes a second set, `bqs_…`, where every error() is NULL: for functions with the prefix SAFE.

-- x / 0 is an error in BigQuery, and in DuckDB with ieee_floating_point_ops off; IEEE_DIVIDE is what goes on.
CREATE OR REPLACE MACRO bq_div(a, b) AS CAST(a AS DOUBLE) / CAST(b AS DOUBLE);
CREATE OR REPLACE MACRO bq_ieee_divide(a, b) AS CASE WHEN b <> 0 THEN a / b WHEN b IS NULL OR a IS NULL THEN NULL WHEN a = 0 OR isnan(a) THEN CAST('nan' AS DOUBLE) WHEN (a > 0) = (CAST(b AS VARCHAR) NOT LIKE '-%') THEN CAST('inf' AS DOUBLE) ELSE CAST('-inf' AS DOUBLE) END;
CREATE OR REPLACE MACRO bq_safe_divide(a, b) AS CAST(a AS DOUBLE) / nullif(CAST(b AS DOUBLE), 0);
CREATE OR REPLACE MACRO bq_safe_exact_divide(a, b) AS list_transform([{'a': a, 'b': b}], lambda given: TRY(exact_divide(given.a, nullif(given.b, 0))))[1];

-- Bits: positions beyond the word give 0, the sign moves like any other bit.
CREATE OR REPLACE MACRO bq_shift_left(x, n) AS CASE WHEN n < 0 THEN error('Bitwise shift by negative offset') WHEN n > 63 THEN 0 ELSE CAST(CAST(x AS BIT) << CAST(n AS INTEGER) AS BIGINT) END;
CREATE OR REPLACE MACRO bq_shift_right(x, n) AS CASE WHEN n < 0 THEN error('Bitwise shift by negative offset') WHEN n > 63 THEN 0 ELSE CAST(CAST(x AS BIT) >> CAST(n AS INTEGER) AS BIGINT) END;

-- Half away from zero; DuckDB's cast rounds half to even.
CREATE OR REPLACE MACRO bq_float_to_int(x) AS CAST(round(x) AS BIGINT);
CREATE OR REPLACE MACRO bq_numeric_to_int(x) AS CAST(round(x) AS BIGINT);
-- Fifteen digits when they come back as the same number, else seventeen, as the service's own printing does.
CREATE OR REPLACE MACRO bq_float_to_text(x) AS list_transform([CAST(x AS DOUBLE)], lambda v: CASE WHEN v IS NULL THEN NULL WHEN isnan(v) THEN 'nan' WHEN isinf(v) THEN CASE WHEN v > 0 THEN 'inf' ELSE '-inf' END WHEN v = 0 THEN '0' WHEN CAST(printf('%.15g', v) AS DOUBLE) = v THEN printf('%.15g', v) ELSE printf('%.17g', v) END)[1];
CREATE OR REPLACE MACRO bq_numeric_to_text(x) AS regexp_replace(regexp_replace(CAST(x AS VARCHAR), '(\.\d*?)0+$', '\1'), '\.$', '');
CREATE OR REPLACE MACRO bq_float_to_numeric(x) AS CAST(bq_float_to_text(x) AS DECIMAL(38, 9));

-- Texts are read by BigQuery's own, narrower grammars.
CREATE OR REPLACE MACRO bq_read(s, pattern, kind) AS list_transform([trim(s, E' \t\n\r')], lambda v: CASE WHEN v IS NULL OR regexp_full_match(v, pattern) THEN v ELSE error('Bad ' || kind || ' value: ' || v) END)[1];
CREATE OR REPLACE MACRO bq_text_to_int(s) AS list_transform([bq_read(s, '[+-]?([0-9]+|0[xX][0-9a-fA-F]+)', 'int64')], lambda v: CASE WHEN v LIKE '-0x%' OR v LIKE '-0X%' THEN CAST(-CAST(v[2:] AS HUGEINT) AS BIGINT) ELSE CAST(ltrim(v, '+') AS BIGINT) END)[1];
CREATE OR REPLACE MACRO bq_text_to_float(s) AS CAST(bq_read(s, '(?i)[+-]?([0-9]+\.?[0-9]*(e[+-]?[0-9]+)?|\.[0-9]+(e[+-]?[0-9]+)?|inf|infinity|nan)', 'double') AS DOUBLE);
CREATE OR REPLACE MACRO bq_text_to_numeric(s) AS CAST(bq_read(s, '(?i)[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?', 'numeric') AS DECIMAL(38, 9));
CREATE OR REPLACE MACRO bq_text_to_bytes(s) AS encode(s);
CREATE OR REPLACE MACRO bq_bytes_to_text(b) AS decode(b);
CREATE OR REPLACE MACRO bq_valid(s, pattern, kind) AS list_transform([s], lambda v: CASE WHEN v IS NULL OR regexp_full_match(v, pattern) THEN v ELSE error('Invalid ' || kind || ': ''' || v || '''') END)[1];
CREATE OR REPLACE MACRO bq_text_to_date(s) AS CAST(bq_valid(s, '\d{4}-\d{1,2}-\d{1,2}', 'date') AS DATE);
CREATE OR REPLACE MACRO bq_text_to_time(s) AS CAST(bq_valid(s, '\d{1,2}:\d{1,2}:\d{1,2}(\.\d{1,6})?', 'time') AS TIME);
CREATE OR REPLACE MACRO bq_text_to_datetime(s) AS CAST(bq_valid(s, '\d{4}-\d{1,2}-\d{1,2}([ Tt]\d{1,2}:\d{1,2}:\d{1,2}(\.\d{1,6})?)?', 'datetime') AS TIMESTAMP);
-- An hour of the offset may have one digit; a day may stand alone before its zone.
CREATE OR REPLACE MACRO bq_text_to_timestamp(s) AS CAST(regexp_replace(regexp_replace(bq_valid(s, '\d{4}-\d{1,2}-\d{1,2}([ Tt]\d{1,2}:\d{1,2}:\d{1,2}(\.\d{1,9})?)?([Zz]|[+-]\d{1,2}(:\d{2})?| [A-Za-z][\w/+-]*)?', 'timestamp'), '([+-])(\d)(:\d\d)?$', '\1' || '0' || '\2\3'), '^(\d{4}-\d{1,2}-\d{1,2})([Zz]|[+-]\d\d(:\d\d)?| [A-Za-z].*)$', '\1 00:00:00\2') AS TIMESTAMP WITH TIME ZONE);

-- Lengths can't be negative, and full case mapping makes two letters of a sharp s.
CREATE OR REPLACE MACRO bq_length(n, what) AS CASE WHEN n < 0 THEN error(what || '() cannot be negative') ELSE n END;
CREATE OR REPLACE MACRO bq_left(s, n) AS left(s, bq_length(n, 'Second argument in LEFT'));
CREATE OR REPLACE MACRO bq_right(s, n) AS right(s, bq_length(n, 'Second argument in RIGHT'));
CREATE OR REPLACE MACRO bq_repeat(s, n) AS repeat(s, bq_length(n, 'Second argument in REPEAT'));
CREATE OR REPLACE MACRO bq_upper(s) AS upper(replace(s, 'ß', 'SS'));
CREATE OR REPLACE MACRO bq_translate(s, a, b) AS CASE WHEN len(list_distinct(string_split(a, ''))) <> length(a) THEN error('Duplicate character in TRANSLATE source characters') ELSE translate(s, a, b) END;
-- Position 0 means 1, and a start before the text is clamped to its first character.
CREATE OR REPLACE MACRO bq_start(s, p) AS CASE WHEN p = 0 OR p < -length(s) THEN 1 ELSE p END;
CREATE OR REPLACE MACRO bq_substr(s, p) AS substring(s, bq_start(s, p)), (s, p, n) AS CASE WHEN n < 0 THEN error('Third argument in SUBSTR() cannot be negative') ELSE substring(s, bq_start(s, p), n) END;
-- DuckDB returns '' where BigQuery returns NULL for no match.
CREATE OR REPLACE MACRO bq_regexp_extract(s, r, g) AS CASE WHEN regexp_matches(s, r) THEN regexp_extract(s, r, g) END;
CREATE OR REPLACE MACRO bq_initcap(s) AS array_to_string(list_transform(regexp_extract_all(lower(s), '[\p{L}\p{N}'']+|[^\p{L}\p{N}'']+'), lambda w: upper(w[1]) || w[2:]), '');
CREATE OR REPLACE MACRO bq_array_to_string(a, sep) AS array_to_string(a, sep);
CREATE OR REPLACE MACRO bq_array_to_string_null(a, sep, n) AS array_to_string(list_transform(a, lambda v: coalesce(v, n)), sep);

-- Weeks that start on another day: `k` days move that day onto Monday, DuckDB's first day.
CREATE OR REPLACE MACRO bq_week_trunc(d, k) AS date_trunc('week', d + to_days(CAST(k AS INTEGER))) - to_days(CAST(k AS INTEGER));
CREATE OR REPLACE MACRO bq_week_diff(a, b, k) AS date_diff('day', CAST(bq_week_trunc(b, k) AS DATE), CAST(bq_week_trunc(a, k) AS DATE)) // 7;
-- Week number counted from the first such weekday of the year; days before it are week 0.
CREATE OR REPLACE MACRO bq_week_number(d, k) AS (date_diff('day', date_trunc('year', d), d) + 7 - (CAST(isodow(CAST(d AS DATE) + CAST(k AS INTEGER)) AS BIGINT) - 1)) // 7;
CREATE OR REPLACE MACRO bq_isoyear_trunc(d) AS date_trunc('week', make_date(CAST(extract('isoyear' FROM d) AS BIGINT), 1, 4));
CREATE OR REPLACE MACRO bq_last_day(d, unit) AS CAST(date_trunc(unit, d) + CAST('1 ' || unit AS INTERVAL) - to_days(1) AS DATE);
CREATE OR REPLACE MACRO bq_last_isoyear_day(d) AS CAST(date_trunc('week', make_date(CAST(extract('isoyear' FROM d) AS BIGINT) + 1, 1, 4)) - to_days(1) AS DATE);
-- Units up to the hour are cut off the instant itself: an hour that a zone repeats stays the one that it was.
CREATE OR REPLACE MACRO bq_trunc_instant(t, unit, zone) AS t - (timezone(zone, t) - date_trunc(unit, timezone(zone, t)));
CREATE OR REPLACE MACRO bq_within_years(v) AS CASE WHEN year(v) BETWEEN 1 AND 9999 THEN v END;
-- Each element is so many steps after the first one, so the end of a month comes back in longer months.
CREATE OR REPLACE MACRO bq_step(n) AS CASE WHEN n = 0 THEN error('Sequence step cannot be 0.') ELSE n END;
CREATE OR REPLACE MACRO bq_months_series(a, b, n) AS list_filter(list_transform(generate_series(0, date_diff('month', a, b) // bq_step(n)), lambda i: CAST(a + to_months(CAST(i * n AS INTEGER)) AS DATE)), lambda v: CASE WHEN n > 0 THEN v <= b ELSE v >= b END);
CREATE OR REPLACE MACRO bq_days_series(a, b, n) AS CAST(generate_series(a, b, to_days(CAST(bq_step(n) AS INTEGER))) AS DATE[]);
CREATE OR REPLACE MACRO bq_instants_series(a, b, us) AS generate_series(a, b, to_microseconds(bq_step(us)));
CREATE OR REPLACE MACRO bq_integers_series(a, b, n) AS generate_series(a, b, bq_step(n));
-- The offset of a zone at an instant, as +HH:MM or without the colon.
CREATE OR REPLACE MACRO bq_zone_minutes(t, zone) AS date_diff('minute', timezone('UTC', t), timezone(zone, t));
CREATE OR REPLACE MACRO bq_zone_offset(t, zone, colon) AS CASE WHEN bq_zone_minutes(t, zone) < 0 THEN '-' ELSE '+' END || lpad(CAST(abs(bq_zone_minutes(t, zone)) // 60 AS VARCHAR), 2, '0') || colon || lpad(CAST(abs(bq_zone_minutes(t, zone)) % 60 AS VARCHAR), 2, '0');
CREATE OR REPLACE MACRO bq_whole_seconds(t) AS CAST(floor(CAST(epoch_us(t) AS DECIMAL(38, 0)) / 1000000) AS BIGINT);
-- An INTERVAL as the service writes it: years-months days hours:minutes:seconds.
CREATE OR REPLACE MACRO bq_interval_sign(n) AS CASE WHEN n < 0 THEN '-' ELSE '' END;
CREATE OR REPLACE MACRO bq_interval_months(i) AS datepart('year', i) * 12 + datepart('month', i);
CREATE OR REPLACE MACRO bq_interval_micros(i) AS datepart('hour', i) * 3600000000 + datepart('minute', i) * 60000000 + datepart('microsecond', i);
CREATE OR REPLACE MACRO bq_interval_to_text(i) AS bq_interval_sign(bq_interval_months(i)) || abs(bq_interval_months(i)) // 12 || '-' || abs(bq_interval_months(i)) % 12 || ' ' || datepart('day', i) || ' ' || bq_interval_sign(bq_interval_micros(i)) || abs(bq_interval_micros(i)) // 3600000000 || ':' || abs(bq_interval_micros(i)) // 60000000 % 60 || ':' || abs(bq_interval_micros(i)) // 1000000 % 60 || bq_fraction(abs(bq_interval_micros(i)) % 1000000);

-- Whole units between two instants, towards zero, as TIMESTAMP_DIFF counts them.
CREATE OR REPLACE MACRO bq_micros_diff(a, b, unit) AS (epoch_us(a) - epoch_us(b)) // CAST(unit AS BIGINT);

-- Arrays: out of range is an error unless the access is SAFE_.
CREATE OR REPLACE MACRO bq_at(a, i) AS CASE WHEN i < 1 OR i > len(a) THEN error('Array index ' || (i - 1) || ' is out of bounds') ELSE a[i] END;
CREATE OR REPLACE MACRO bq_safe_at(a, i) AS CASE WHEN i < 1 OR i > len(a) THEN NULL ELSE a[i] END;
CREATE OR REPLACE MACRO bq_array_concat(a, b) AS CASE WHEN a IS NULL OR b IS NULL THEN NULL ELSE list_concat(a, b) END;
CREATE OR REPLACE MACRO bq_range_bucket(x, bounds) AS CASE WHEN x IS NULL OR bounds IS NULL THEN NULL ELSE len(list_filter(bounds, lambda b: b <= x)) END;

-- Exact where BigQuery approximates: values with their counts, most frequent first, ties by value.
CREATE OR REPLACE MACRO bq_top_count(h, nulls, n) AS list_slice(list_transform(list_sort(list_concat(
    list_transform(map_entries(h), lambda e: {'c': -CAST(e.value AS BIGINT), 'value': e.key}),
    CASE WHEN nulls > 0 THEN [{'c': -CAST(nulls AS BIGINT), 'value': NULL}] ELSE [] END)),
    lambda e: {'value': e.value, 'count': -e.c}), 1, n);

CREATE OR REPLACE MACRO bq_json_document(s) AS CASE WHEN json_valid(s) THEN s END;
-- Integers that floating point can't hold are texts in TO_JSON_STRING.
CREATE OR REPLACE MACRO bq_int64_to_json(n) AS CASE WHEN abs(CAST(n AS HUGEINT)) > 9007199254740992 THEN to_json(CAST(n AS VARCHAR)) ELSE to_json(n) END;
-- JSON_VALUE answers scalars only; an object, an array or a JSON null is NULL.
CREATE OR REPLACE MACRO bq_json_value(j, p) AS CASE WHEN json_type(j, p) IN ('OBJECT', 'ARRAY', 'NULL') THEN NULL ELSE json_extract_string(j, p) END;

-- Outside a function's domain DuckDB answers NaN or infinity, BigQuery an error.
CREATE OR REPLACE MACRO bq_sqrt(x) AS CASE WHEN x < 0 THEN error('Argument to SQRT cannot be negative: ' || x) ELSE sqrt(x) END;
CREATE OR REPLACE MACRO bq_ln(x) AS CASE WHEN x <= 0 THEN error('Floating point error in function: LN(' || x || ')') ELSE ln(x) END;
CREATE OR REPLACE MACRO bq_log(base, x) AS CASE WHEN x <= 0 OR base <= 0 OR base = 1 THEN error('Floating point error in function: LOG(' || x || ', ' || base || ')') ELSE log(base, x) END;
CREATE OR REPLACE MACRO bq_exp(x) AS CASE WHEN isinf(exp(x)) AND NOT isinf(CAST(x AS DOUBLE)) THEN error('Floating point error in function: EXP(' || x || ')') ELSE exp(x) END;
CREATE OR REPLACE MACRO bq_asin(x) AS CASE WHEN x < -1 OR x > 1 THEN error('Floating point error in function: ASIN(' || x || ')') ELSE asin(x) END;
CREATE OR REPLACE MACRO bq_acos(x) AS CASE WHEN x < -1 OR x > 1 THEN error('Floating point error in function: ACOS(' || x || ')') ELSE acos(x) END;
CREATE OR REPLACE MACRO bq_acosh(x) AS CASE WHEN x < 1 THEN error('Floating point error in function: ACOSH(' || x || ')') ELSE acosh(x) END;
CREATE OR REPLACE MACRO bq_atanh(x) AS CASE WHEN x <= -1 OR x >= 1 THEN error('Floating point error in function: ATANH(' || x || ')') ELSE atanh(x) END;
CREATE OR REPLACE MACRO bq_pow_fails(x, y) AS error('Floating point error in function: POW(' || x || ', ' || y || ')');
CREATE OR REPLACE MACRO bq_pow(x, y) AS CASE WHEN x < 0 AND y <> floor(y) THEN bq_pow_fails(x, y) WHEN x = 0 AND y < 0 THEN bq_pow_fails(x, y) WHEN isinf(pow(x, y)) AND NOT isinf(CAST(x AS DOUBLE)) AND NOT isinf(CAST(y AS DOUBLE)) THEN bq_pow_fails(x, y) ELSE pow(x, y) END;
CREATE OR REPLACE MACRO bq_reciprocal(v, name, x) AS CASE WHEN v = 0 THEN error('Floating point error in function: ' || name || '(' || x || ')') ELSE 1 / v END;
CREATE OR REPLACE MACRO bq_sec(x) AS 1 / cos(x);
CREATE OR REPLACE MACRO bq_csc(x) AS bq_reciprocal(sin(x), 'CSC', x);
CREATE OR REPLACE MACRO bq_cot(x) AS bq_reciprocal(tan(x), 'COT', x);
CREATE OR REPLACE MACRO bq_sech(x) AS 1 / cosh(x);
CREATE OR REPLACE MACRO bq_csch(x) AS bq_reciprocal(sinh(x), 'CSCH', x);
CREATE OR REPLACE MACRO bq_coth(x) AS bq_reciprocal(tanh(x), 'COTH', x);
CREATE OR REPLACE MACRO bq_distance(a, b, d) AS CASE WHEN len(a) <> len(b) THEN error('Array length mismatch: ' || len(a) || ' and ' || len(b)) ELSE d END;
CREATE OR REPLACE MACRO bq_parse_numeric(s) AS CAST(regexp_replace(regexp_replace(s, '[\s,]', '', 'g'), '^(.*[0-9.])([+-])$', '\2\1') AS DECIMAL(38, 9));

-- Texts: characters are code points; positions count from 1 and are 0 when there is nothing.
CREATE OR REPLACE MACRO bq_ascii(s) AS CASE WHEN s = '' THEN 0 WHEN unicode(s) > 127 THEN error('ASCII: the first character is not an ASCII character') ELSE unicode(s) END;
CREATE OR REPLACE MACRO bq_unicode(s) AS CASE WHEN s = '' THEN 0 ELSE unicode(s) END;
CREATE OR REPLACE MACRO bq_code_points(s) AS list_transform(range(1, length(s) + 1), lambda i: CAST(unicode(substring(s, i, 1)) AS BIGINT));
CREATE OR REPLACE MACRO bq_text_of(a) AS CASE WHEN a IS NULL OR len(list_filter(a, lambda c: c IS NULL)) > 0 THEN NULL WHEN len(list_filter(a, lambda c: c < 0 OR c > 1114111 OR c BETWEEN 55296 AND 57343)) > 0 THEN error('A code point is no valid Unicode character') ELSE array_to_string(list_transform(a, lambda c: CASE WHEN c = 0 THEN '' ELSE chr(CAST(c AS INTEGER)) END), '') END;
CREATE OR REPLACE MACRO bq_bytes_of(a) AS CASE WHEN len(list_filter(a, lambda c: c IS NULL)) > 0 THEN NULL WHEN len(list_filter(a, lambda c: c < 0 OR c > 255)) > 0 THEN error('CODE_POINTS_TO_BYTES: code points must be from 0 to 255') ELSE unhex(array_to_string(list_transform(a, lambda c: printf('%02x', c)), '')) END;
CREATE OR REPLACE MACRO bq_instr(s, t, p, n) AS CASE
    WHEN p = 0 THEN error('The third argument (position) in INSTR() cannot be 0')
    WHEN n < 1 THEN error('The fourth argument (occurrence) in INSTR() must be positive')
    WHEN p > 0 THEN coalesce(list_filter(range(p, length(s) + 1), lambda i: substring(s, i, length(t)) = t)[n], 0)
    ELSE coalesce(list_reverse(list_filter(range(1, length(s) + p + 2), lambda i: substring(s, i, length(t)) = t))[n], 0) END;
CREATE OR REPLACE MACRO bq_decode_safely(b) AS CASE WHEN b IS NULL THEN NULL ELSE coalesce(TRY(decode(b)), error('SAFE_CONVERT_BYTES_TO_STRING of bytes that are not UTF-8 is not supported by the local BigQuery server')) END;
-- The first match begins after the shortest text that a match can follow.
CREATE OR REPLACE MACRO bq_regexp_instr(s, r) AS CASE WHEN s IS NULL OR r IS NULL THEN NULL WHEN regexp_matches(s, r) THEN length(regexp_extract(s, '^((?s:.*?))(?:' || r || ')', 1)) + 1 ELSE 0 END;
CREATE OR REPLACE MACRO bq_regexp_extract_nth(s, r, g, p, n) AS CASE WHEN p < 1 THEN error('Position must be positive') WHEN n < 1 THEN error('Occurrence must be positive') WHEN p > length(s) + 1 THEN NULL ELSE regexp_extract_all(substring(s, p), r, g)[n] END;

-- Arrays: offsets count from 0, negative ones from the end; both ends belong to a slice.
CREATE OR REPLACE MACRO bq_offset(i, n) AS CASE WHEN i < 0 THEN n + i ELSE i END;
CREATE OR REPLACE MACRO bq_slice(a, s, e) AS CASE WHEN a IS NULL OR s IS NULL OR e IS NULL THEN NULL WHEN bq_offset(e, len(a)) < 0 OR bq_offset(s, len(a)) > bq_offset(e, len(a)) THEN list_slice(a, 2, 1) ELSE list_slice(a, greatest(bq_offset(s, len(a)), 0) + 1, bq_offset(e, len(a)) + 1) END;

-- JSON: a null inside a text is no value; inside JSON it is JSON's null.
CREATE OR REPLACE MACRO bq_json_query_text(j, p) AS CASE WHEN json_type(j, p) = 'NULL' THEN NULL ELSE CAST(json_extract(j, p) AS VARCHAR) END;
CREATE OR REPLACE MACRO bq_json_array(j, p) AS CASE WHEN json_type(j, p) = 'ARRAY' THEN json_extract(j, p || '[*]') END;
CREATE OR REPLACE MACRO bq_json_values(j, p) AS CASE WHEN json_type(j, p) = 'ARRAY' AND len(list_filter(json_extract(j, p || '[*]'), lambda e: json_type(e) IN ('OBJECT', 'ARRAY'))) = 0 THEN json_extract_string(j, p || '[*]') END;
CREATE OR REPLACE MACRO bq_json_type(j) AS CASE json_type(j) WHEN 'NULL' THEN 'null' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'VARCHAR' THEN 'string' WHEN 'OBJECT' THEN 'object' WHEN 'ARRAY' THEN 'array' WHEN NULL THEN NULL ELSE 'number' END;
CREATE OR REPLACE MACRO bq_json_wrong(j, name) AS error('The provided JSON input is not ' || name || ': ' || bq_json_type(j));
CREATE OR REPLACE MACRO bq_json_int64(j) AS CASE WHEN j IS NULL THEN NULL WHEN json_type(j) IN ('BIGINT', 'UBIGINT') THEN CAST(json_extract_string(j, '$') AS BIGINT) WHEN json_type(j) = 'DOUBLE' AND CAST(json_extract_string(j, '$') AS DOUBLE) = floor(CAST(json_extract_string(j, '$') AS DOUBLE)) THEN CAST(CAST(json_extract_string(j, '$') AS DOUBLE) AS BIGINT) ELSE bq_json_wrong(j, 'an integer') END;
CREATE OR REPLACE MACRO bq_json_float64(j) AS CASE WHEN j IS NULL THEN NULL WHEN bq_json_type(j) = 'number' THEN CAST(json_extract_string(j, '$') AS DOUBLE) ELSE bq_json_wrong(j, 'a number') END;
CREATE OR REPLACE MACRO bq_json_bool(j) AS CASE WHEN j IS NULL THEN NULL WHEN bq_json_type(j) = 'boolean' THEN CAST(json_extract_string(j, '$') AS BOOLEAN) ELSE bq_json_wrong(j, 'a boolean') END;
CREATE OR REPLACE MACRO bq_json_string(j) AS CASE WHEN j IS NULL THEN NULL WHEN bq_json_type(j) = 'string' THEN json_extract_string(j, '$') ELSE bq_json_wrong(j, 'a string') END;
CREATE OR REPLACE MACRO bq_lax_string(j) AS CASE WHEN bq_json_type(j) IN ('string', 'number', 'boolean') THEN json_extract_string(j, '$') END;
CREATE OR REPLACE MACRO bq_lax_float64(j) AS CASE WHEN bq_json_type(j) IN ('string', 'number') THEN TRY_CAST(json_extract_string(j, '$') AS DOUBLE) END;
CREATE OR REPLACE MACRO bq_lax_int64(j) AS CASE bq_json_type(j) WHEN 'boolean' THEN CAST(CAST(json_extract_string(j, '$') AS BOOLEAN) AS BIGINT) WHEN 'string' THEN coalesce(TRY_CAST(json_extract_string(j, '$') AS BIGINT), TRY_CAST(round(TRY_CAST(json_extract_string(j, '$') AS DOUBLE)) AS BIGINT)) WHEN 'number' THEN coalesce(TRY_CAST(json_extract_string(j, '$') AS BIGINT), TRY_CAST(round(TRY_CAST(json_extract_string(j, '$') AS DOUBLE)) AS BIGINT)) END;
CREATE OR REPLACE MACRO bq_lax_bool(j) AS CASE bq_json_type(j) WHEN 'boolean' THEN CAST(json_extract_string(j, '$') AS BOOLEAN) WHEN 'string' THEN CASE lower(json_extract_string(j, '$')) WHEN 'true' THEN true WHEN 'false' THEN false END WHEN 'number' THEN CAST(json_extract_string(j, '$') AS DOUBLE) <> 0 END;

-- Times and buckets.
CREATE OR REPLACE MACRO bq_time_trunc(t, unit) AS CAST(TIMESTAMP '1970-01-01 00:00:00' + to_microseconds(epoch_us(DATE '1970-01-01' + t) // CAST(unit AS BIGINT) * CAST(unit AS BIGINT)) AS TIME);

-- Casts to and from text: only true and false are truth values; fractions of seconds have no, three or six digits.
CREATE OR REPLACE MACRO bq_text_to_bool(s) AS CASE lower(s) WHEN 'true' THEN true WHEN 'false' THEN false ELSE CASE WHEN s IS NULL THEN NULL ELSE error('Bad bool value: ' || s) END END;
CREATE OR REPLACE MACRO bq_fraction(us) AS CASE WHEN us = 0 THEN '' WHEN us % 1000 = 0 THEN '.' || lpad(CAST(us // 1000 AS VARCHAR), 3, '0') ELSE '.' || lpad(CAST(us AS VARCHAR), 6, '0') END;
CREATE OR REPLACE MACRO bq_datetime_to_text(d) AS strftime(d, '%Y-%m-%d %H:%M:%S') || bq_fraction(microsecond(d) % 1000000);
CREATE OR REPLACE MACRO bq_timestamp_to_text(t) AS bq_datetime_to_text(timezone('UTC', t)) || '+00';
CREATE OR REPLACE MACRO bq_time_to_text(t) AS strftime(DATE '1970-01-01' + t, '%H:%M:%S') || bq_fraction(microsecond(t) % 1000000);

-- Files: truth values have more spellings than in a query, and an instant may be a number of seconds.
CREATE OR REPLACE MACRO bq_file_bool(s) AS CASE WHEN s IS NULL THEN NULL WHEN lower(s) IN ('true', 't', 'yes', 'y', '1') THEN true WHEN lower(s) IN ('false', 'f', 'no', 'n', '0') THEN false ELSE error('Bad bool value: ' || s) END;
CREATE OR REPLACE MACRO bq_file_timestamp(s) AS CASE WHEN regexp_full_match(s, '-?\d+(\.\d+)?') THEN timezone('UTC', make_timestamp(CAST(round(CAST(s AS DECIMAL(38, 9)) * 1000000) AS BIGINT))) ELSE bq_text_to_timestamp(regexp_replace(s, ' ?UTC$', 'Z')) END;
