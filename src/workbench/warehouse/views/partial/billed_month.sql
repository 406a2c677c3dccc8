-- Of which months were bills delivered? A partial that several views read: any other month is unknown, not unbilled.
-- Grain: one row a month. Key: month. Parameters: none.
SELECT DISTINCT month FROM bill
