-- What the guard lets through in Postgres, a statement a line. Database `shop`; the connection offers shop.sales.
-- Every line runs on a real server, too. Lines that start with two dashes and empty lines are not statements.
SELECT 1
SELECT * FROM sales.orders
SELECT * FROM "sales"."orders" AS o
SELECT o.id, o.total::numeric(10, 2), CAST(o.placed_at AS date) FROM shop.sales.orders o
SELECT payload #>> '{customer,name}' AS name, payload -> 'items' -> 0 ->> 'sku', payload @> '{"paid": true}', payload ? 'x' FROM sales.orders
SELECT payload #> '{a}' FROM sales.orders WHERE (id # 1) = 1 AND payload ->> 'side' = 'left'
SELECT date_trunc('month', placed_at) AS month, count(*) FILTER (WHERE paid) AS paid, sum(total) FROM sales.orders GROUP BY 1 ORDER BY 1 DESC NULLS LAST LIMIT 10
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM sales.orders
SELECT DISTINCT ON (customer_id) customer_id, placed_at FROM sales.orders ORDER BY customer_id, placed_at DESC
SELECT extract(dow FROM placed_at) + 1, extract(epoch FROM placed_at), age(placed_at) FROM sales.orders
SELECT day::date FROM generate_series(DATE '2024-01-01', DATE '2024-02-01', INTERVAL '1 day') AS day
SELECT n FROM generate_series(1, 3) AS n
WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT * FROM n
SELECT o.id, l.top FROM sales.orders o CROSS JOIN LATERAL (SELECT max(x.total) AS top FROM sales.orders x WHERE x.customer_id = o.customer_id) l
SELECT string_agg(name, ', ' ORDER BY name), array_agg(id), bool_or(paid), every(paid) FROM sales.customers
SELECT CASE WHEN total > 10 THEN 'big' ELSE 'small' END, coalesce(total, 0), nullif(total, 0), greatest(1, 2) FROM sales.orders
SELECT id FROM sales.orders WHERE name ILIKE '%a%' AND name ~ '^x' AND id = ANY(@ids) AND cardinality(@ids) = 0
SELECT lag(total) OVER (PARTITION BY customer_id ORDER BY placed_at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM sales.orders
SELECT placed_at AT TIME ZONE 'Europe/Paris', now() - interval '7 days', @now_local, CAST(@now_local AS time) FROM sales.orders
SELECT to_char(DATE '2024-01-01', 'YYYY-MM'), to_date('2024-01-01', 'YYYY-MM-DD'), round(1.25, 1), lower(name), name || 'x', split_part(name, ' ', 1), left(name, 3), substring(name from 1 for 2), position('a' in name), length(name), replace(name, 'a', 'b'), regexp_replace(name, 'a', 'b'), concat_ws(',', name, 'x'), initcap(name), trim(name), lpad(name, 3, '0') FROM sales.customers
SELECT x, sum(y) FROM sales.orders GROUP BY ROLLUP (x)
SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v(id, name)
SELECT unnest(ARRAY[1, 2, 3]), (ARRAY[1, 2])[1], array_length(tags, 1), tags && ARRAY['a'], tags @> ARRAY['a'] FROM sales.orders
SELECT E'it''s', $$it's$$, $q$a $$ b$q$
SELECT a FROM sales.orders EXCEPT SELECT a FROM sales.returns
SELECT * FROM sales.orders TABLESAMPLE BERNOULLI (10)
SELECT count(*)::float / nullif(count(DISTINCT a), 0) FROM sales.orders HAVING count(*) > 1
SELECT make_date(2024, 1, 1), make_interval(days => 1), date_part('year', placed_at), justify_days(interval '40 days') FROM sales.orders
SELECT jsonb_array_length(payload -> 'items'), jsonb_typeof(payload) FROM sales.orders
SELECT o.total > ALL (SELECT total FROM sales.returns) FROM sales.orders o WHERE EXISTS (SELECT 1 FROM sales.returns r WHERE r.id = o.id)
SELECT stddev(total), variance(total), corr(a, b) FROM sales.orders
SELECT ln(total + 1), exp(1), sqrt(total), power(total, 2), mod(total, 2), abs(-1), ceil(1.5), floor(1.5), trunc(1.5), sign(1), width_bucket(total, 0, 10, 5), random() FROM sales.orders
SELECT id FROM sales.orders ORDER BY id FETCH FIRST 5 ROWS ONLY
SELECT row_number() OVER w FROM sales.orders WINDOW w AS (ORDER BY id)
SELECT a IS NOT DISTINCT FROM b, a IS DISTINCT FROM b, a BETWEEN 1 AND 2, a NOT IN (1, 2), a IS NULL, NOT paid, name SIMILAR TO 'x' FROM sales.orders
