-- DuckDB macros that behave like the BigQuery functions of the same names. `lowering_*.py` calls them.

-- x / 0 is an error in BigQuery; DuckDB gives infinity for floating point.
CREATE OR REPLACE MACRO bq_div(a, b) AS CASE WHEN b = 0 THEN error('division by zero: ' || a || ' / ' || b) ELSE a / b END;
CREATE OR REPLACE MACRO bq_safe_divide(a, b) AS CASE WHEN b = 0 THEN NULL ELSE a / b END;

-- Half away from zero; DuckDB's cast rounds half to even.
CREATE OR REPLACE MACRO bq_float_to_int(x) AS CAST(round(x) AS BIGINT);
-- 1.0 prints as 1.
CREATE OR REPLACE MACRO bq_float_to_text(x) AS CASE WHEN isinf(x) OR isnan(x) THEN (CASE WHEN isnan(x) THEN 'NaN' WHEN x > 0 THEN 'Infinity' ELSE '-Infinity' END) ELSE regexp_replace(CAST(x AS VARCHAR), '\.0$', '') END;
CREATE OR REPLACE MACRO bq_numeric_to_text(x) AS regexp_replace(regexp_replace(CAST(x AS VARCHAR), '(\.\d*?)0+$', '\1'), '\.$', '');

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

-- Whole units between two instants, towards zero, as TIMESTAMP_DIFF counts them.
CREATE OR REPLACE MACRO bq_micros_diff(a, b, unit) AS (epoch_us(a) - epoch_us(b)) // CAST(unit AS BIGINT);

-- Arrays: out of range is an error unless the access is SAFE_.
CREATE OR REPLACE MACRO bq_at(a, i) AS CASE WHEN i < 1 OR i > len(a) THEN error('Array index ' || (i - 1) || ' is out of bounds') ELSE a[i] END;
CREATE OR REPLACE MACRO bq_safe_at(a, i) AS CASE WHEN i < 1 OR i > len(a) THEN NULL ELSE a[i] END;
CREATE OR REPLACE MACRO bq_range_bucket(x, bounds) AS CASE WHEN x IS NULL OR bounds IS NULL THEN NULL ELSE len(list_filter(bounds, lambda b: b <= x)) END;

-- Exact where BigQuery approximates: values with their counts, most frequent first, ties by value.
CREATE OR REPLACE MACRO bq_top_count(h, nulls, n) AS list_slice(list_transform(list_sort(list_concat(
    list_transform(map_entries(h), lambda e: {'c': -CAST(e.value AS BIGINT), 'value': e.key}),
    CASE WHEN nulls > 0 THEN [{'c': -CAST(nulls AS BIGINT), 'value': NULL}] ELSE [] END)),
    lambda e: {'value': e.value, 'count': -e.c}), 1, n);

-- JSON_VALUE answers scalars only; an object, an array or a JSON null is NULL.
CREATE OR REPLACE MACRO bq_json_value(j, p) AS CASE WHEN json_type(j, p) IN ('OBJECT', 'ARRAY', 'NULL') THEN NULL ELSE json_extract_string(j, p) END;
