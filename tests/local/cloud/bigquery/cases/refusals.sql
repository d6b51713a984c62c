-- Each case: the reason and the beginning of the message that the query must be refused with.

--- an unknown column with its place
invalidQuery: Unrecognized name: nope at [1:8]
SELECT nope FROM {dataset}.sales
--- an unknown column on a later line
invalidQuery: Unrecognized name: nope at [3:7]
SELECT id
FROM {dataset}.sales
WHERE nope = 1
--- an unknown function with its place
invalidQuery: Function not found: FOO at [1:8]
SELECT FOO(1)
--- a function of another engine
invalidQuery: Function not found: NVL at [1:8]
SELECT NVL(1, 2)
--- a function of DuckDB is no function here
invalidQuery: Function not found: read_csv at [1:15]
SELECT * FROM read_csv('/etc/passwd')
--- reading a file by a table name
notFound: Not found: Dataset
SELECT * FROM `/etc/passwd.x`
--- a function that BigQuery has and this server does not
invalidQuery: not supported by the local BigQuery server: function SOUNDEX at [1:8]
SELECT SOUNDEX('a')
--- a syntax error with its place
invalidQuery: Syntax error: Unexpected
SELEC 1
--- an unknown table
notFound: Not found: Table bridge-local:{dataset}.nothing was not found in location US
SELECT * FROM {dataset}.nothing
--- an unknown data set
notFound: Not found: Dataset bridge-local:no_such_data was not found in location US
SELECT * FROM no_such_data.t
--- a table without a data set
invalidQuery: Table "sales" must be qualified with a dataset
SELECT * FROM sales
--- division by zero
invalidQuery: division by zero
SELECT 1 / 0
--- division of a column by zero
invalidQuery: division by zero
SELECT qty / 0 FROM {dataset}.sales
--- MOD by zero
invalidQuery: division by zero
SELECT MOD(1, 0)
--- INT64 overflow
invalidQuery: 
SELECT 9223372036854775807 + 1
--- a number compared with a text
invalidQuery: No matching signature for operator = for argument types: INT64, STRING
SELECT id FROM {dataset}.sales WHERE id = '5'
--- a date compared with an instant
invalidQuery: No matching signature for operator > for argument types: DATE, TIMESTAMP
SELECT id FROM {dataset}.sales WHERE day > CURRENT_TIMESTAMP()
--- the sum of a text
invalidQuery: No matching signature for aggregate function SUM
SELECT SUM(country) FROM {dataset}.sales
--- a number where a text belongs
invalidQuery: No matching signature for function
SELECT UPPER(id) FROM {dataset}.sales
--- a column that is not grouped
invalidQuery: SELECT list expression references column qty which is neither grouped nor aggregated
SELECT country, qty FROM {dataset}.sales GROUP BY country
--- an array index that is out of range
invalidQuery: Array index 5 is out of bounds
SELECT [1, 2][OFFSET(5)]
--- a bad cast
invalidQuery: 
SELECT CAST('x' AS INT64)
--- TABLESAMPLE
invalidQuery: not supported by the local BigQuery server: TABLESAMPLE
SELECT * FROM {dataset}.sales TABLESAMPLE SYSTEM (10 PERCENT)
--- time travel
invalidQuery: not supported by the local BigQuery server: FOR SYSTEM_TIME AS OF
SELECT * FROM {dataset}.sales FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()
--- scripts
invalidQuery: not supported by the local BigQuery server: scripts of several statements
SELECT 1; SELECT 2
--- a wildcard before the end of a name
invalidQuery: Invalid table name
SELECT * FROM `bridge-local.{dataset}.s*l*`
--- a cast with a format
invalidQuery: not supported by the local BigQuery server: CAST … FORMAT at [1:29]
SELECT CAST('15:30' AS TIME FORMAT 'HH24:MI')
--- the start of a column that the parser would take for a key word
invalidQuery: not supported by the local BigQuery server: JSON_OBJECT of a column named key
SELECT JSON_OBJECT(key, value) FROM (SELECT 'a' AS key, 1 AS value)
--- a set operation that matches columns by name
invalidQuery: not supported by the local BigQuery server: set operations BY NAME
SELECT 1 AS a INTERSECT DISTINCT BY NAME SELECT 2 AS a
--- structs that only differ in their fields' names, where they can't be renamed
invalidQuery: not supported by the local BigQuery server: a set operation on structs
SELECT s FROM (SELECT STRUCT(1 AS a) AS s) UNION ALL SELECT s FROM (SELECT STRUCT(1 AS b) AS s)
--- the fields of a struct expression as columns
invalidQuery: not supported by the local BigQuery server
SELECT STRUCT(1 AS a).*
--- a sketch
invalidQuery: not supported by the local BigQuery server: function HLL_COUNT.INIT at
SELECT HLL_COUNT.INIT(id) FROM {dataset}.sales
--- other word breaks than the usual ones
invalidQuery: not supported by the local BigQuery server: INITCAP with delimiters
SELECT INITCAP('a1b', '1')
--- columns of an UNNEST that has no name
invalidQuery: not supported by the local BigQuery server: SELECT * over an UNNEST … WITH OFFSET without an alias
SELECT * FROM UNNEST([1, 2]) WITH OFFSET
--- duplicate names in the result
invalidQuery: Duplicate column names in the result are not supported. Found duplicate(s): a
SELECT 1 AS a, 2 AS a
--- writing into a view
invalidQuery: 
INSERT INTO {dataset}.by_country (country) VALUES ('x')
--- EXPORT DATA
invalidQuery: 
EXPORT DATA OPTIONS(uri='gs://x/*') AS SELECT 1
--- a temporary function
invalidQuery: 
CREATE TEMP FUNCTION f(x INT64) AS (x + 1)
--- settings of the engine
invalidQuery: 
SET threads = 8
--- attaching a file
invalidQuery: 
ATTACH '/tmp/x.db'
--- copying to a file
invalidQuery: 
COPY (SELECT 1) TO '/tmp/x'
--- a user-defined function
invalidQuery: not supported by the local BigQuery server: user-defined functions at [1:13]
CREATE TEMP FUNCTION plus_one(x INT64) AS (x + 1); SELECT plus_one(1)
--- a query on which the parser fails
invalidQuery: not supported by the local BigQuery server: this form of the query
SELECT id FROM {dataset}.sales |> WHERE id = 1 |> LIMIT 1
--- a call without an argument that the parser wants
invalidQuery: not supported by the local BigQuery server: a call without its optional arguments
SELECT JSON_QUERY('{}')
