-- What the guard lets through, a statement a line. Project `shop`; the connection offers shop.sales,
-- shop.web_events, open-data.weather. Lines that start with two dashes and empty lines are not statements.
SELECT 1
select 1;
SELECT * FROM sales.orders
SELECT * FROM `sales.orders`
SELECT * FROM `shop.sales.orders`
SELECT * FROM `shop`.`sales`.`orders`
SELECT * FROM shop.sales.orders AS o
SELECT * FROM open-data.weather.days
SELECT * FROM `open-data.weather.days`
SELECT * FROM `open-data`.weather.days
SELECT * FROM sales.orders_*  WHERE _TABLE_SUFFIX BETWEEN '2024' AND '2025'
SELECT * FROM `web_events.events_*`
SELECT o.id, c.name FROM sales.orders o JOIN sales.customers c USING (customer_id) WHERE o.total > 10
SELECT carrier, COUNT(*) AS n FROM sales.orders GROUP BY 1 HAVING n > 5 ORDER BY n DESC LIMIT 10 OFFSET 5
SELECT carrier, COUNT(*) FROM sales.orders GROUP BY ALL
SELECT x, SUM(y) FROM sales.orders GROUP BY ROLLUP(x)
SELECT x, y, SUM(z) FROM sales.orders GROUP BY GROUPING SETS ((x), (x, y), ())
SELECT DISTINCT carrier FROM sales.orders
SELECT * EXCEPT (secret) REPLACE (total / 100 AS total) FROM sales.orders
WITH orders AS (SELECT * FROM sales.orders) SELECT * FROM orders
WITH a AS (SELECT 1 AS x), b AS (SELECT x FROM a) SELECT (SELECT MAX(x) FROM a) AS m, x FROM b
WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT * FROM n
WITH sales AS (SELECT 1) SELECT * FROM sales.orders
SELECT * FROM (WITH t AS (SELECT 1 AS x) SELECT x FROM t)
SELECT * FROM sales.orders WHERE id IN (SELECT order_id FROM sales.returns)
SELECT * FROM sales.orders o WHERE EXISTS (SELECT 1 FROM sales.returns r WHERE r.order_id = o.id)
SELECT 1 UNION ALL SELECT 2 UNION DISTINCT SELECT 3
SELECT id FROM sales.orders INTERSECT DISTINCT SELECT order_id FROM sales.returns
SELECT id FROM sales.orders EXCEPT DISTINCT SELECT order_id FROM sales.returns
(SELECT 1)
SELECT o.id, item.sku FROM sales.orders o, UNNEST(o.items) AS item WITH OFFSET AS position
SELECT o.id, item.sku FROM sales.orders o LEFT JOIN UNNEST(o.items) AS item
SELECT o.id, item.sku FROM sales.orders o, o.items AS item
SELECT d, SUM(total) OVER (ORDER BY d ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) AS week FROM sales.orders
SELECT id FROM sales.orders QUALIFY ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY created DESC) = 1
SELECT SUM(x) OVER w FROM sales.orders WINDOW w AS (PARTITION BY y ORDER BY z NULLS LAST)
SELECT * FROM (SELECT carrier, month, n FROM sales.orders) PIVOT (SUM(n) AS n FOR month IN (1 AS jan, 2 AS feb))
SELECT * FROM sales.orders UNPIVOT (amount FOR kind IN (net, tax))
SELECT * FROM sales.orders TABLESAMPLE SYSTEM (10 PERCENT)
FROM sales.orders |> WHERE total > 1 |> AGGREGATE SUM(total) AS s GROUP BY carrier |> ORDER BY s DESC |> LIMIT 3
SELECT * FROM sales.orders WHERE day BETWEEN @period_start AND @period_end AND (@x IS NULL OR carrier = @x)
SELECT * FROM sales.orders WHERE carrier IN UNNEST(@carriers) LIMIT @n
SELECT DATE_TRUNC(day, MONTH), DATE_SUB(CURRENT_DATE(), INTERVAL 30 DAY), DATE_DIFF(@today, day, WEEK(MONDAY)) FROM sales.orders
SELECT TIMESTAMP_TRUNC(at, DAY, 'UTC'), FORMAT_TIMESTAMP('%Y', at), EXTRACT(DATE FROM at AT TIME ZONE 'UTC') FROM sales.orders
SELECT PARSE_DATE('%Y%m%d', s), FORMAT_DATE('%b %Y', day), LAST_DAY(day), DATE(2013, 1, 2) FROM sales.orders
SELECT EXTRACT(ISOWEEK FROM day), EXTRACT(DAYOFWEEK FROM day), UNIX_SECONDS(at), TIMESTAMP_SECONDS(n) FROM sales.orders
SELECT SAFE_DIVIDE(a, b), ROUND(a, 2), IF(a > b, 1, 0), COALESCE(a, 0), NULLIF(a, 0), IFNULL(a, 0) FROM sales.orders
SELECT CASE WHEN a > 1 THEN 'x' ELSE 'y' END, CAST(a AS STRING), SAFE_CAST(b AS INT64) FROM sales.orders
SELECT APPROX_COUNT_DISTINCT(x), APPROX_QUANTILES(x, 100)[OFFSET(50)], APPROX_TOP_COUNT(x, 3) FROM sales.orders
SELECT COUNTIF(x > 1), AVG(x), STDDEV(x), CORR(x, y), LOGICAL_OR(b), ANY_VALUE(x HAVING MAX y), MAX_BY(x, y) FROM sales.orders
SELECT ARRAY_AGG(STRUCT(x, y) ORDER BY x LIMIT 3), STRING_AGG(DISTINCT s, ', ' ORDER BY s) FROM sales.orders
SELECT PERCENTILE_CONT(x, 0.5) OVER (PARTITION BY y), LAG(x, 1, 0) OVER (ORDER BY z), NTILE(4) OVER (ORDER BY x) FROM sales.orders
SELECT LOWER(s), CONCAT(s, '-', t), SUBSTR(s, 1, 3), REGEXP_CONTAINS(s, r'^a\d+'), REGEXP_EXTRACT(s, r'(\w+)'), SPLIT(s, ',')[SAFE_OFFSET(0)] FROM sales.orders
SELECT JSON_VALUE(payload, '$.a.b'), JSON_QUERY_ARRAY(payload, '$.items'), TO_JSON_STRING(o) FROM sales.orders o
SELECT SAFE.SUBSTR(s, 1), SAFE.PARSE_DATE('%Y', s), NET.HOST(url), NET.REG_DOMAIN(url) FROM sales.orders
SELECT HLL_COUNT.MERGE(sketch), HLL_COUNT.EXTRACT(HLL_COUNT.INIT(x)) FROM sales.orders GROUP BY y
SELECT FARM_FINGERPRINT(s), MD5(s), TO_HEX(SHA256(s)), GENERATE_UUID(), RAND() FROM sales.orders
SELECT * FROM UNNEST(GENERATE_DATE_ARRAY('2024-01-01', '2024-12-31', INTERVAL 1 MONTH)) AS d
SELECT * FROM UNNEST([STRUCT('a' AS k, 1 AS v), STRUCT('b', 2)])
SELECT STRUCT<a INT64, b STRING>(1, 'x').a, [1, 2, 3][ORDINAL(1)], ARRAY(SELECT AS STRUCT 1 AS a)
SELECT ST_DISTANCE(ST_GEOGPOINT(a, b), ST_GEOGPOINT(c, d)), RANGE_BUCKET(x, [0, 10, 20]) FROM sales.orders
SELECT 'DROP TABLE sales.orders; -- not a statement' AS s, "it's" AS t, '''three''' AS u
SELECT 1 /* DELETE FROM sales.orders */ -- EXPORT DATA
SELECT 1 # a comment of BigQuery
SELECT `update`, `delete` FROM sales.orders
SELECT drop_rate, created_by, merge_key FROM sales.orders
SELECT x AS `total amount` FROM sales.orders ORDER BY `total amount`
SELECT DATETIME(placed_at, 'UTC'), DATETIME(day, TIME '10:00:00'), TIME(placed_at, 'Europe/Paris'), DATE(placed_at, 'UTC') FROM sales.orders
SELECT DATETIME(@now, 'Asia/Tokyo') AS there, TIME(@now_local) AS here
