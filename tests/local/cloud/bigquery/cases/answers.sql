-- Each case: a name, the result types, the rows as JSON, optionally the bytes of a dry run, and the query.
-- Expected values follow Google's reference; the same file can run against the service.

--- integer division is floating point
types: FLOAT64
rows: [[3.5]]
SELECT 7 / 2
--- DIV truncates towards zero
types: INT64, INT64
rows: [[3, -3]]
SELECT DIV(7, 2), DIV(-7, 2)
--- a decimal literal is FLOAT64 and NUMERIC stays NUMERIC
types: FLOAT64, NUMERIC
rows: [[1.5, "1.5"]]
SELECT 1.5, NUMERIC '1.5'
--- INT64 arithmetic has 64 bits
types: INT64
rows: [[2147483648]]
SELECT 2147483647 + 1
--- casts of floating point round half away from zero
types: INT64, INT64, INT64
rows: [[3, -3, 2]]
SELECT CAST(2.5 AS INT64), CAST(-2.5 AS INT64), CAST(1.5 AS INT64)
--- ROUND of FLOAT64 stays FLOAT64
types: FLOAT64, FLOAT64
rows: [[2.35, 3.0]]
SELECT ROUND(2.345678, 2), ROUND(2.5)
--- ROUND of INT64 is FLOAT64
types: FLOAT64
rows: [[7.0]]
SELECT ROUND(7)
--- SAFE_DIVIDE by zero is NULL
types: FLOAT64
rows: [[null]]
SELECT SAFE_DIVIDE(1, 0)
--- IEEE_DIVIDE by zero is infinite
types: FLOAT64
rows: [["Infinity"]]
SELECT IEEE_DIVIDE(1, 0)
--- MOD keeps the sign of the dividend
types: INT64, INT64
rows: [[1, -1]]
SELECT MOD(7, 3), MOD(-7, 3)
--- SUM of INT64 is INT64 and AVG is FLOAT64
types: INT64, FLOAT64
rows: [[60, 20.0]]
bytes: 24
SELECT SUM(qty), AVG(qty) FROM {dataset}.sales
--- SUM of NUMERIC is NUMERIC
types: NUMERIC
rows: [["13.75"]]
bytes: 48
SELECT SUM(price) FROM {dataset}.sales
--- COUNT DISTINCT and COUNTIF
types: INT64, INT64, INT64
rows: [[4, 2, 2]]
bytes: 15
SELECT COUNT(*), COUNT(DISTINCT country), COUNTIF(ok) FROM {dataset}.sales
--- APPROX_COUNT_DISTINCT is exact on small sets
types: INT64
rows: [[2]]
SELECT APPROX_COUNT_DISTINCT(country) FROM {dataset}.sales
--- LOGICAL_AND and LOGICAL_OR skip NULL
types: BOOL, BOOL
rows: [[false, true]]
SELECT LOGICAL_AND(ok), LOGICAL_OR(ok) FROM {dataset}.sales
--- APPROX_TOP_COUNT answers values with counts
types: ARRAY<STRUCT<value STRING, count INT64>>
rows: [[[{"value": "b", "count": 2}, {"value": "a", "count": 1}]]]
SELECT APPROX_TOP_COUNT(tag, 2) FROM {dataset}.sales, UNNEST(tags) AS tag
--- APPROX_QUANTILES answers n plus one elements of the input
types: ARRAY<INT64>
rows: [[[10, 20, 30]]]
SELECT APPROX_QUANTILES(qty, 2) FROM {dataset}.sales
--- an element of APPROX_QUANTILES by OFFSET
types: INT64
rows: [[50]]
SELECT APPROX_QUANTILES(x, 100)[OFFSET(50)] FROM UNNEST(GENERATE_ARRAY(0, 100)) AS x
--- ARRAY_AGG with ORDER BY and LIMIT
types: ARRAY<INT64>
rows: [[[4, 3]]]
SELECT ARRAY_AGG(id ORDER BY id DESC LIMIT 2) FROM {dataset}.sales
--- ARRAY_AGG DISTINCT IGNORE NULLS
types: ARRAY<STRING>
rows: [[["DE", "FR"]]]
SELECT ARRAY_AGG(DISTINCT country IGNORE NULLS ORDER BY country) FROM {dataset}.sales
--- STRING_AGG skips NULL and orders
types: STRING
rows: [["FR, DE, DE"]]
SELECT STRING_AGG(country, ', ' ORDER BY country DESC) FROM {dataset}.sales
--- STRING_AGG with LIMIT
types: STRING
rows: [["DE"]]
SELECT STRING_AGG(country ORDER BY country LIMIT 1) FROM {dataset}.sales
--- ANY_VALUE HAVING MAX
types: STRING
rows: [["c"]]
SELECT ANY_VALUE(r.x HAVING MAX r.y) FROM UNNEST([STRUCT('a' AS x, 1 AS y), ('c', 3), ('b', 2)]) AS r
--- UNNEST WITH OFFSET counts from zero
types: STRING, INT64
rows: [["a", 0], ["b", 1]]
SELECT tag, o FROM UNNEST(['a', 'b']) AS tag WITH OFFSET AS o ORDER BY o
--- a correlated UNNEST of structs
types: INT64, STRING, INT64
rows: [[1, "x", 1], [1, "y", 2], [2, "x", 5], [4, "z", 7]]
SELECT s.id, i.sku, i.units FROM {dataset}.sales AS s, UNNEST(s.items) AS i ORDER BY s.id, i.sku
--- a comma join with an array path is an UNNEST
types: INT64, STRING
rows: [[2, "x"]]
SELECT s.id, i.sku FROM {dataset}.sales AS s, s.items AS i WHERE s.id = 2
--- LEFT JOIN UNNEST keeps rows with empty arrays
types: INT64, STRING
rows: [[3, null]]
SELECT s.id, tag FROM {dataset}.sales AS s LEFT JOIN UNNEST(s.tags) AS tag WHERE s.id = 3
--- aggregates over an array in a scalar subquery
types: INT64, INT64
rows: [[1, 3], [2, 5], [3, null], [4, 7]]
SELECT id, (SELECT SUM(units) FROM UNNEST(items)) FROM {dataset}.sales ORDER BY id
--- EXISTS over an array
types: INT64
rows: [[1], [2]]
SELECT id FROM {dataset}.sales WHERE EXISTS (SELECT 1 FROM UNNEST(items) AS i WHERE i.sku = 'x') ORDER BY id
--- IN UNNEST
types: INT64
rows: [[1], [2]]
SELECT id FROM {dataset}.sales WHERE 'b' IN UNNEST(tags) ORDER BY id
--- arrays by OFFSET, ORDINAL and SAFE_OFFSET
types: INT64, INT64, INT64
rows: [[10, 10, null]]
SELECT [10, 20][OFFSET(0)], [10, 20][ORDINAL(1)], [10, 20][SAFE_OFFSET(5)]
--- ARRAY of a subquery with structs
types: ARRAY<STRUCT<sku STRING, units INT64>>
rows: [[[{"sku": "y", "units": 2}]]]
SELECT ARRAY(SELECT AS STRUCT sku, units FROM UNNEST(items) WHERE units > 1) FROM {dataset}.sales WHERE id = 1
--- DATE_TRUNC of a DATE is a DATE
types: DATE, DATE, DATE, DATE
rows: [["2024-02-01", "2024-01-01", "2024-02-26", "2024-02-25"]]
SELECT DATE_TRUNC(d, MONTH), DATE_TRUNC(d, QUARTER), DATE_TRUNC(d, ISOWEEK), DATE_TRUNC(d, WEEK) FROM (SELECT DATE '2024-02-29' AS d)
--- DATE_TRUNC by a week that starts on a chosen day
types: DATE, DATE
rows: [["2024-02-26", "2024-02-29"]]
SELECT DATE_TRUNC(DATE '2024-02-29', WEEK(MONDAY)), DATE_TRUNC(DATE '2024-02-29', WEEK(THURSDAY))
--- TIMESTAMP_TRUNC in a time zone
types: TIMESTAMP
rows: [["2024-02-28T05:00:00+00:00"]]
SELECT TIMESTAMP_TRUNC(TIMESTAMP '2024-02-29 03:00:00+00', DAY, 'America/New_York')
--- parts of a date
types: INT64, INT64, INT64, INT64, INT64, INT64
rows: [[53, 1, 0, 2020, 6, 1]]
SELECT EXTRACT(ISOWEEK FROM d), EXTRACT(QUARTER FROM d), EXTRACT(WEEK FROM d), EXTRACT(ISOYEAR FROM d), EXTRACT(DAYOFWEEK FROM d), EXTRACT(DAYOFYEAR FROM d) FROM (SELECT DATE '2021-01-01' AS d)
--- weeks of the year from Sunday and from Monday
types: INT64, INT64, INT64
rows: [[1, 0, 53]]
SELECT EXTRACT(WEEK FROM DATE '2021-01-03'), EXTRACT(WEEK(MONDAY) FROM DATE '2021-01-03'), EXTRACT(ISOWEEK FROM DATE '2021-01-03')
--- parts of an instant in a time zone
types: INT64, DATE
rows: [[22, "2024-02-28"]]
SELECT EXTRACT(HOUR FROM ts AT TIME ZONE 'America/New_York'), EXTRACT(DATE FROM ts AT TIME ZONE 'America/New_York') FROM (SELECT TIMESTAMP '2024-02-29 03:00:00+00' AS ts)
--- DATE plus INTERVAL is a DATETIME
types: DATETIME
rows: [["2024-03-01T00:00:00"]]
SELECT DATE '2024-02-29' + INTERVAL 1 DAY
--- DATE plus an integer is a DATE
types: DATE
rows: [["2024-03-02"]]
SELECT DATE '2024-02-29' + 2
--- DATE_ADD clamps to the end of the month
types: DATE, DATE
rows: [["2024-02-29", "2023-02-28"]]
SELECT DATE_ADD(DATE '2024-01-31', INTERVAL 1 MONTH), DATE_SUB(DATE '2024-02-29', INTERVAL 1 YEAR)
--- DATE_DIFF counts boundaries
types: INT64, INT64, INT64, INT64
rows: [[1, 2, 1, 1]]
SELECT DATE_DIFF(DATE '2024-02-01', DATE '2024-01-31', MONTH), DATE_DIFF(DATE '2024-01-03', DATE '2024-01-01', DAY), DATE_DIFF(DATE '2017-10-15', DATE '2017-10-14', WEEK), DATE_DIFF(DATE '2024-01-01', DATE '2023-12-31', YEAR)
--- DATE_DIFF by weeks that start on Monday
types: INT64, INT64
rows: [[0, 1]]
SELECT DATE_DIFF(DATE '2017-10-15', DATE '2017-10-14', WEEK(MONDAY)), DATE_DIFF(DATE '2017-10-16', DATE '2017-10-15', ISOWEEK)
--- TIMESTAMP_DIFF counts whole units
types: INT64, INT64
rows: [[0, -1]]
SELECT TIMESTAMP_DIFF(TIMESTAMP '2024-01-01 00:59:59+00', TIMESTAMP '2024-01-01 00:00:00+00', HOUR), TIMESTAMP_DIFF(TIMESTAMP '2024-01-01 00:00:00+00', TIMESTAMP '2024-01-01 01:30:00+00', HOUR)
--- FORMAT_DATE
types: STRING
rows: [["2024-02 Q1  3"]]
SELECT FORMAT_DATE('%Y-%m Q%Q %e', DATE '2024-02-03')
--- FORMAT_TIMESTAMP in a time zone
types: STRING
rows: [["2024-02-28 22:00"]]
SELECT FORMAT_TIMESTAMP('%F %R', TIMESTAMP '2024-02-29 03:00:00+00', 'America/New_York')
--- PARSE_DATE and PARSE_TIMESTAMP
types: DATE, TIMESTAMP
rows: [["2024-02-29", "2024-02-29T13:05:00+00:00"]]
SELECT PARSE_DATE('%Y%m%d', '20240229'), PARSE_TIMESTAMP('%Y-%m-%d %H:%M', '2024-02-29 13:05')
--- SAFE prefix turns an error into NULL
types: DATE
rows: [[null]]
SELECT SAFE.PARSE_DATE('%Y%m%d', 'nonsense')
--- instants from and to numbers
types: TIMESTAMP, TIMESTAMP, INT64, INT64
rows: [["1970-01-01T00:00:01+00:00", "1970-01-01T00:00:01.500000+00:00", 1, -1]]
SELECT TIMESTAMP_SECONDS(1), TIMESTAMP_MILLIS(1500), UNIX_SECONDS(TIMESTAMP '1970-01-01 00:00:01.9+00'), UNIX_SECONDS(TIMESTAMP '1969-12-31 23:59:59.5+00')
--- LAST_DAY
types: DATE, DATE
rows: [["2024-02-29", "2024-12-31"]]
SELECT LAST_DAY(DATE '2024-02-10'), LAST_DAY(DATE '2024-02-10', YEAR)
--- GENERATE_DATE_ARRAY
types: ARRAY<DATE>
rows: [[["2024-01-01", "2024-01-08"]]]
SELECT GENERATE_DATE_ARRAY('2024-01-01', '2024-01-14', INTERVAL 1 WEEK)
--- DATETIME and TIMESTAMP are different types
types: DATETIME, TIMESTAMP, DATE
rows: [["2024-01-01T10:00:00", "2024-01-01T10:00:00+00:00", "2024-01-01"]]
SELECT DATETIME(at), TIMESTAMP(DATETIME(at)), DATE(at) FROM {dataset}.sales WHERE id = 1
--- FORMAT with numbers
types: STRING
rows: [["007|3.14|1,234,567|x%"]]
SELECT FORMAT("%03d|%.2f|%'d|%s%%", 7, 3.14159, 1234567, 'x')
--- CONCAT with NULL is NULL
types: STRING, STRING
rows: [[null, "ab"]]
SELECT CONCAT('a', NULL), CONCAT('a', 'b')
--- SUBSTR with zero, negative and far starts
types: STRING, STRING, STRING, STRING
rows: [["apple", "ple", "le", "appl"]]
SELECT SUBSTR('apple', 0), SUBSTR('apple', 3), SUBSTR('apple', -2), SUBSTR('apple', -9, 4)
--- GREATEST and LEAST with NULL are NULL
types: INT64, INT64
rows: [[null, 1]]
SELECT GREATEST(1, NULL, 3), LEAST(3, 1)
--- regular expressions
types: BOOL, STRING, STRING, STRING
rows: [[true, "12", null, "a-b-"]]
SELECT REGEXP_CONTAINS('ab12', r'\d+'), REGEXP_EXTRACT('ab12', r'[a-z]+(\d+)'), REGEXP_EXTRACT('ab', r'\d+'), REGEXP_REPLACE('a1b2', r'\d', '-')
--- SPLIT and ARRAY_TO_STRING
types: STRING, INT64
rows: [["a|b|", 3]]
SELECT ARRAY_TO_STRING(SPLIT('a,b,'), '|'), ARRAY_LENGTH(SPLIT('a,b,'))
--- text functions
types: INT64, INT64, STRING, STRING, STRING
rows: [[4, 5, "  a", "Hello World", "b"]]
SELECT LENGTH('café'), BYTE_LENGTH('café'), LPAD('a', 3), INITCAP('hello WORLD'), TRIM('xbx', 'x')
--- casts to STRING
types: STRING, STRING, STRING, STRING
rows: [["1", "1.5", "true", "2024-01-01 00:00:00+00"]]
SELECT CAST(1.0 AS STRING), CAST(NUMERIC '1.50' AS STRING), CAST(TRUE AS STRING), CAST(TIMESTAMP '2024-01-01' AS STRING)
--- SAFE_CAST
types: INT64, DATE
rows: [[null, null]]
SELECT SAFE_CAST('x' AS INT64), SAFE_CAST('nope' AS DATE)
--- JSON_VALUE and JSON_QUERY
types: STRING, STRING, STRING
rows: [["1", null, "[1,2]"]]
SELECT JSON_VALUE('{"a": 1, "b": [1,2]}', '$.a'), JSON_VALUE('{"b": [1,2]}', '$.b'), JSON_QUERY('{"b": [1,2]}', '$.b')
--- hashes are BYTES
types: STRING
rows: [["900150983cd24fb0d6963f7d28e17f72"]]
SELECT TO_HEX(MD5('abc'))
--- NULL sorts first ascending and last descending
types: STRING
rows: [[null], ["DE"], ["DE"], ["FR"]]
SELECT country FROM {dataset}.sales ORDER BY country
--- NULL sorts last descending
types: STRING
rows: [["FR"], ["DE"], ["DE"], [null]]
SELECT country FROM {dataset}.sales ORDER BY country DESC
--- window functions keep their types
types: INT64, INT64, INT64, FLOAT64
rows: [[1, 10, null, 20.0], [2, 30, 10, 20.0], [3, 60, 20, 20.0], [4, 60, 30, 20.0]]
SELECT id, SUM(qty) OVER (ORDER BY id), LAG(qty) OVER (ORDER BY id), AVG(qty) OVER () FROM {dataset}.sales ORDER BY id
--- ranks
types: INT64, INT64, INT64, INT64
rows: [[1, 1, 1, 1], [2, 1, 1, 2], [3, 3, 2, 3]]
SELECT ROW_NUMBER() OVER (ORDER BY r.x, r.y), RANK() OVER (ORDER BY r.x), DENSE_RANK() OVER (ORDER BY r.x), r.y FROM UNNEST([STRUCT(1 AS x, 1 AS y), (1, 2), (2, 3)]) AS r ORDER BY y
--- PERCENTILE_CONT interpolates
types: FLOAT64
rows: [[1.5]]
SELECT DISTINCT PERCENTILE_CONT(x, 0.5) OVER () FROM UNNEST([0, 1, 2, 3]) AS x
--- LAST_VALUE IGNORE NULLS
types: INT64
rows: [[30]]
SELECT LAST_VALUE(qty IGNORE NULLS) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM {dataset}.sales LIMIT 1
--- QUALIFY
types: INT64
rows: [[4]]
SELECT id FROM {dataset}.sales WHERE TRUE QUALIFY ROW_NUMBER() OVER (ORDER BY id DESC) = 1
--- EXCEPT and REPLACE in a star
types: INT64, FLOAT64
rows: [[1, 1.0]]
bytes: 56
SELECT * EXCEPT (day, at, country, price, ok, tags, address, items, qty) REPLACE (rate * 2 AS rate) FROM {dataset}.sales WHERE id = 1
--- ROLLUP
types: STRING, INT64
rows: [[null, 60], [null, 30], ["DE", 10], ["FR", 20]]
SELECT country, SUM(qty) AS s FROM {dataset}.sales GROUP BY ROLLUP (country) ORDER BY country, s DESC
--- PIVOT
types: INT64, INT64
rows: [[10, 20]]
SELECT * FROM (SELECT country, qty FROM {dataset}.sales WHERE country IS NOT NULL) PIVOT (SUM(qty) FOR country IN ('DE', 'FR'))
--- a common table expression that hides nothing
types: STRING, INT64
rows: [["DE", 2]]
WITH sales AS (SELECT * FROM {dataset}.sales) SELECT country, COUNT(*) AS n FROM sales GROUP BY country HAVING n > 1
--- recursion
types: INT64
rows: [[15]]
WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 5) SELECT SUM(x) FROM n
--- UNION DISTINCT and EXCEPT DISTINCT
types: INT64
rows: [[1]]
(SELECT 1 UNION DISTINCT SELECT 2) EXCEPT DISTINCT SELECT 2
--- pipe syntax
types: STRING, INT64
rows: [["FR", 1]]
FROM {dataset}.sales |> WHERE country = 'FR' |> AGGREGATE COUNT(*) AS n GROUP BY country
--- a view reads its table and bills the table's columns
types: STRING, INT64
rows: [["FR", 20]]
bytes: 36
SELECT * FROM {dataset}.by_country WHERE country = 'FR'
--- GROUP BY ALL
types: STRING, INT64
rows: [["FR", 20]]
SELECT country, SUM(qty) FROM {dataset}.sales WHERE country = 'FR' GROUP BY ALL
--- a date filter prunes partitions
types: INT64
rows: [[2]]
bytes: 16
SELECT id FROM {dataset}.sales WHERE day = '2024-01-02'
--- a filter outside a common table expression prunes too
types: INT64
rows: [[4]]
bytes: 16
WITH s AS (SELECT * FROM {dataset}.sales) SELECT id FROM s WHERE day >= DATE '2024-02-01'
--- a filter through DATE_TRUNC prunes
types: INT64
rows: [[4]]
bytes: 16
SELECT id FROM {dataset}.sales WHERE DATE_TRUNC(day, MONTH) = '2024-02-01'
--- a filter on another column does not prune
types: INT64
rows: [[2]]
bytes: 44
SELECT id FROM {dataset}.sales WHERE country = 'FR'
--- one leaf of a struct is billed alone
types: STRING
rows: [["Berlin"], ["Paris"], ["Rome"], [null]]
bytes: 53
SELECT address.city FROM {dataset}.sales ORDER BY id
--- one leaf of an array of structs is billed alone
types: INT64
rows: [[15]]
bytes: 32
SELECT SUM(i.units) FROM {dataset}.sales, UNNEST(items) AS i
--- COUNT star reads no column
types: INT64
rows: [[4]]
bytes: 0
SELECT COUNT(*) FROM {dataset}.sales
--- LIMIT saves nothing
types: INT64
rows: [[1]]
bytes: 32
SELECT id FROM {dataset}.sales ORDER BY id LIMIT 1
--- PIVOT names its columns by aggregate and value
types: STRING, INT64, INT64, INT64, INT64
rows: [["Apple", 77, 1, null, 0], ["Kale", 51, 1, 23, 1]]
SELECT * FROM (SELECT 'Kale' AS product, 51 AS sales, 'Q1' AS quarter UNION ALL SELECT 'Kale', 23, 'Q2' UNION ALL SELECT 'Apple', 77, 'Q1')
PIVOT (SUM(sales) AS total, COUNT(*) AS n FOR quarter IN ('Q1' AS first, 'Q2')) ORDER BY product
--- PIVOT columns can be named
types: INT64, INT64
rows: [[10, 20]]
bytes: 36
SELECT p.DE, p.FR FROM (SELECT country, qty FROM {dataset}.sales) PIVOT (SUM(qty) FOR country IN ('DE', 'FR')) AS p
--- UNPIVOT puts the values before the name and leaves NULL out
types: STRING, INT64, STRING
rows: [["Apple", 77, "Q1"], ["Kale", 51, "Q1"], ["Kale", 23, "Q2"]]
SELECT * FROM (SELECT 'Kale' AS product, 51 AS Q1, 23 AS Q2 UNION ALL SELECT 'Apple', 77, NULL) UNPIVOT (sales FOR quarter IN (Q1, Q2)) ORDER BY product, quarter
--- UNPIVOT INCLUDE NULLS with other names
types: STRING, INT64
rows: [["first", 77], ["second", null]]
SELECT u.part, u.sales FROM (SELECT 77 AS Q1, CAST(NULL AS INT64) AS Q2) UNPIVOT INCLUDE NULLS (sales FOR part IN (Q1 AS 'first', Q2 AS 'second')) AS u ORDER BY part
--- UNPIVOT of several columns at once
types: INT64, INT64, STRING
rows: [[51, 23, "h1"], [45, 3, "h2"]]
SELECT * FROM (SELECT 51 AS Q1, 23 AS Q2, 45 AS Q3, 3 AS Q4) UNPIVOT ((a, b) FOR half IN ((Q1, Q2) AS 'h1', (Q3, Q4) AS 'h2')) ORDER BY half
--- QUALIFY keeps the first of each group
types: STRING, INT64
rows: [["DE", 10], ["FR", 20]]
SELECT country, qty FROM {dataset}.sales WHERE country IS NOT NULL AND qty IS NOT NULL QUALIFY ROW_NUMBER() OVER (PARTITION BY country ORDER BY qty) = 1 ORDER BY country
--- GROUPING SETS with the words apart and brackets after ORDER BY
types: STRING, BOOL, INT64, INT64
rows: [["DE", null, 2, 0], [null, null, 4, 1], [null, true, 2, 1]]
SELECT country, ok, COUNT(*) AS n, GROUPING(country) AS g FROM {dataset}.sales GROUP BY GROUPING   SETS ((country), (ok), ()) HAVING (country IS NULL OR country = 'DE') AND n > 1 ORDER BY (country IS NULL), country, n DESC
--- CUBE and ROLLUP count every level
types: INT64, INT64
rows: [[4, 3]]
SELECT (SELECT COUNT(*) FROM (SELECT a, b FROM (SELECT 1 AS a, 2 AS b) GROUP BY CUBE (a, b))), (SELECT COUNT(*) FROM (SELECT a, b FROM (SELECT 1 AS a, 2 AS b) GROUP BY ROLLUP (a, b)))
--- WITH RECURSIVE counts up
types: INT64
rows: [[1], [2], [3]]
WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT n FROM t ORDER BY n
--- structs of a set operation are matched by position
types: STRUCT<color STRING, shape STRING>
rows: [[{"color": "blue", "shape": "round"}], [{"color": "red", "shape": "square"}]]
SELECT info FROM (SELECT STRUCT('blue' AS color, 'round' AS shape) AS info UNION ALL SELECT STRUCT('red', 'square')) ORDER BY info.color
--- UNION ALL BY NAME matches columns by name
types: INT64, STRING
rows: [[1, "x"], [2, "y"]]
SELECT * FROM (SELECT 1 AS a, 'x' AS b UNION ALL BY NAME SELECT 'y' AS b, 2 AS a) ORDER BY a
--- JSON values by dots and brackets
types: JSON, JSON, STRING
rows: [[1, 2, "x"]]
SELECT j.a, j['b'][0], JSON_VALUE(j.c) FROM (SELECT JSON '{"a": 1, "b": [2], "c": "x"}' AS j)
--- STRING_AGG in a window
types: STRING, STRING
rows: [["a", "a"], ["b", "a-b"]]
SELECT x, STRING_AGG(x, '-') OVER (ORDER BY x) AS so_far FROM UNNEST(['a', 'b']) AS x ORDER BY x
--- CONCAT casts, the operator does not
types: STRING
rows: [["a1true2024-01-01"]]
SELECT CONCAT('a', 1, TRUE, DATE '2024-01-01')
