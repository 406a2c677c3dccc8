-- activity
WITH begun AS (SELECT EXTRACT(YEAR FROM start_on) * 12 + EXTRACT(MONTH FROM start_on) AS nth FROM (SELECT
CAST(CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL '90 DAY' AS DATE) AS start_on) AS given), earlier AS (SELECT
customer_id, MAX(last_on) AS last_on FROM (SELECT customer_id, last_on FROM customer_month WHERE nth < (SELECT nth
FROM begun) UNION ALL SELECT customer_id, day_on AS last_on FROM customer_day WHERE nth = (SELECT nth FROM begun) AND
day_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL '90 DAY') AS past GROUP BY customer_id), known AS (SELECT
CASE WHEN COUNT(*) > 0 THEN 0 END AS zero FROM detail_record) SELECT customer.customer_id,
CAST((CAST(CAST('2026-07-01' AS DATE) AS DATE) - CAST(COALESCE(recent_use.last_on, earlier.last_on) AS DATE)) AS
DOUBLE PRECISION) AS recency_days, CAST(COALESCE(recent_use.active_days, known.zero) AS DOUBLE PRECISION) AS frequency
FROM customer CROSS JOIN known LEFT JOIN earlier ON earlier.customer_id = customer.customer_id LEFT JOIN recent_use ON
recent_use.customer_id = customer.customer_id WHERE customer.joined_on < CAST(CAST('2026-07-01' AS DATE) AS DATE);

-- arrears
WITH paid AS (SELECT bill_id, SUM(CAST(amount AS DECIMAL(18, 4))) AS amount FROM payment WHERE paid_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE) AND NOT bill_id IS NULL GROUP BY bill_id), due AS (SELECT bill.customer_id,
(CAST(CAST('2026-07-01' AS DATE) AS DATE) - CAST(bill.due_on AS DATE)) AS days, CAST(bill.amount AS DECIMAL(18, 4)) -
COALESCE(paid.amount, 0) AS open_amount FROM bill LEFT JOIN paid ON paid.bill_id = bill.bill_id WHERE bill.issued_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE) AND bill.due_on < CAST(CAST('2026-07-01' AS DATE) AS DATE)), settled AS
(SELECT COUNT(bill_id) AS payments FROM payment), overdue AS (SELECT customer_id, SUM(open_amount) AS total, MAX(days)
AS oldest, SUM(open_amount) FILTER(WHERE days <= 10) AS to_10, SUM(open_amount) FILTER(WHERE days BETWEEN 11 AND 20)
AS to_20, SUM(open_amount) FILTER(WHERE days BETWEEN 21 AND 30) AS to_30, SUM(open_amount) FILTER(WHERE days BETWEEN
31 AND 60) AS to_60, SUM(open_amount) FILTER(WHERE days BETWEEN 61 AND 90) AS to_90, SUM(open_amount) FILTER(WHERE
days > 90) AS beyond FROM due WHERE open_amount > 0 AND (SELECT payments FROM settled) > 0 GROUP BY customer_id),
known AS (SELECT CASE WHEN COUNT(*) > 0 THEN 0 END AS zero FROM bill WHERE (SELECT payments FROM settled) > 0) SELECT
customer.customer_id, CAST(COALESCE(overdue.total, known.zero) AS DOUBLE PRECISION) AS arrears, CAST(overdue.oldest AS
DOUBLE PRECISION) AS arrears_days, CAST(COALESCE(overdue.to_10, known.zero) AS DOUBLE PRECISION) AS arrears_0_10,
CAST(COALESCE(overdue.to_20, known.zero) AS DOUBLE PRECISION) AS arrears_11_20, CAST(COALESCE(overdue.to_30,
known.zero) AS DOUBLE PRECISION) AS arrears_21_30, CAST(COALESCE(overdue.to_60, known.zero) AS DOUBLE PRECISION) AS
arrears_31_60, CAST(COALESCE(overdue.to_90, known.zero) AS DOUBLE PRECISION) AS arrears_61_90,
CAST(COALESCE(overdue.beyond, known.zero) AS DOUBLE PRECISION) AS arrears_90_plus FROM customer CROSS JOIN known LEFT
JOIN overdue ON overdue.customer_id = customer.customer_id WHERE customer.joined_on < CAST(CAST('2026-07-01' AS DATE)
AS DATE);

-- bills
WITH issued AS (SELECT customer_id, month, issued_on, EXTRACT(YEAR FROM month) * 12 + EXTRACT(MONTH FROM month) AS
nth, CAST(amount AS DECIMAL(18, 4)) AS amount, CAST(discount AS DECIMAL(18, 4)) AS discount, CAST(recurring AS
DECIMAL(18, 4)) + CAST(usage_charge AS DECIMAL(18, 4)) AS gross FROM bill WHERE issued_on < CAST(CAST('2026-07-01' AS
DATE) AS DATE)), billed_month AS (SELECT month, ROW_NUMBER() OVER (ORDER BY month DESC NULLS LAST) AS back FROM
(SELECT DISTINCT month FROM issued WHERE nth BETWEEN EXTRACT(YEAR FROM CAST(CAST('2026-07-01' AS DATE) AS DATE)) * 12
+ EXTRACT(MONTH FROM CAST(CAST('2026-07-01' AS DATE) AS DATE)) - 5 AND EXTRACT(YEAR FROM CAST(CAST('2026-07-01' AS
DATE) AS DATE)) * 12 + EXTRACT(MONTH FROM CAST(CAST('2026-07-01' AS DATE) AS DATE)) - 1) AS recent), monthly AS
(SELECT customer_id, month, SUM(amount) AS amount FROM issued GROUP BY customer_id, month), life_month AS (SELECT
customer.customer_id, billed_month.back, monthly.amount, MIN(CASE WHEN billed_month.back = 1 AND NOT monthly.amount IS
NULL THEN 1 ELSE 2 END) OVER (PARTITION BY customer.customer_id) AS first_back FROM customer INNER JOIN billed_month
ON billed_month.month >= customer.joined_on LEFT JOIN monthly ON monthly.customer_id = customer.customer_id AND
monthly.month = billed_month.month), arpu AS (SELECT customer_id, CAST(SUM(COALESCE(amount, 0)) AS DOUBLE PRECISION) /
CAST(COUNT(*) AS DOUBLE PRECISION) AS monetary FROM life_month WHERE back BETWEEN first_back AND first_back + 2 GROUP
BY customer_id), year_bill AS (SELECT customer_id, COUNT(*) AS bills, SUM(amount) AS amount, SUM(discount) AS
discount, SUM(gross) AS gross FROM issued WHERE issued_on >= CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL '12
MONTH' GROUP BY customer_id), known AS (SELECT CASE WHEN COUNT(*) > 0 THEN 0 END AS zero FROM bill) SELECT
customer.customer_id, arpu.monetary, CAST(COALESCE(year_bill.amount, known.zero) AS DOUBLE PRECISION) AS billed_12m,
CAST(COALESCE(year_bill.bills, known.zero) AS DOUBLE PRECISION) AS bills_12m, CASE WHEN year_bill.gross > 0 THEN
CAST(year_bill.discount AS DOUBLE PRECISION) / CAST(year_bill.gross AS DOUBLE PRECISION) END AS discount_share FROM
customer CROSS JOIN known LEFT JOIN arpu ON arpu.customer_id = customer.customer_id LEFT JOIN year_bill ON
year_bill.customer_id = customer.customer_id WHERE customer.joined_on < CAST(CAST('2026-07-01' AS DATE) AS DATE);

-- campaigns
WITH reached AS (SELECT campaign_member.customer_id, COUNT(*) AS campaigns FROM campaign_member INNER JOIN campaign ON
campaign.campaign_id = campaign_member.campaign_id WHERE campaign_member.contacted AND
COALESCE(campaign_member.assigned_on, campaign.starts_on) >= CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL '180
DAY' AND COALESCE(campaign_member.assigned_on, campaign.starts_on) < CAST(CAST('2026-07-01' AS DATE) AS DATE) GROUP BY
campaign_member.customer_id), known AS (SELECT CASE WHEN COUNT(*) > 0 THEN 0 END AS zero FROM campaign_member) SELECT
customer.customer_id, CAST(COALESCE(reached.campaigns, known.zero) AS DOUBLE PRECISION) AS campaigns_180d FROM
customer CROSS JOIN known LEFT JOIN reached ON reached.customer_id = customer.customer_id WHERE customer.joined_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE);

-- frequency_trend
WITH observed AS (SELECT DISTINCT month, CAST(EXTRACT(YEAR FROM month) * 12 + EXTRACT(MONTH FROM month) AS INT) AS nth
FROM usage_month WHERE EXTRACT(YEAR FROM month) * 12 + EXTRACT(MONTH FROM month) BETWEEN EXTRACT(YEAR FROM
CAST(CAST('2026-07-01' AS DATE) AS DATE)) * 12 + EXTRACT(MONTH FROM CAST(CAST('2026-07-01' AS DATE) AS DATE)) - 6 AND
EXTRACT(YEAR FROM CAST(CAST('2026-07-01' AS DATE) AS DATE)) * 12 + EXTRACT(MONTH FROM CAST(CAST('2026-07-01' AS DATE)
AS DATE)) - 1), used AS (SELECT customer_id, month, SUM(active_days) AS days FROM usage_month GROUP BY customer_id,
month), life_month AS (SELECT customer.customer_id, observed.nth, CAST(COALESCE(used.days, 0) AS DOUBLE PRECISION) AS
days FROM customer INNER JOIN observed ON observed.month >= customer.joined_on LEFT JOIN used ON used.customer_id =
customer.customer_id AND used.month = observed.month), level AS (SELECT customer_id, AVG(days) AS mean_days FROM
life_month GROUP BY customer_id HAVING COUNT(*) >= 3), pair AS (SELECT earlier.customer_id, earlier.nth AS from_nth,
later.nth AS to_nth, (later.days - earlier.days) / CAST(later.nth - earlier.nth AS DOUBLE PRECISION) AS slope FROM
life_month AS earlier INNER JOIN life_month AS later ON later.customer_id = earlier.customer_id AND later.nth >
earlier.nth), ranked AS (SELECT customer_id, slope, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY slope ASC,
from_nth ASC, to_nth ASC) AS place, COUNT(*) OVER (PARTITION BY customer_id) AS pairs FROM pair), median AS (SELECT
customer_id, AVG(slope) AS slope FROM ranked WHERE 2 * place BETWEEN pairs AND pairs + 2 GROUP BY customer_id), trend
AS (SELECT level.customer_id, CAST(median.slope AS DOUBLE PRECISION) / NULLIF(level.mean_days, 0) AS frequency_trend
FROM level INNER JOIN median ON median.customer_id = level.customer_id) SELECT customer.customer_id,
trend.frequency_trend, CASE WHEN activity.frequency = 0 AND customer.joined_on <= CAST(CAST('2026-07-01' AS DATE) AS
DATE) - INTERVAL '90 DAY' THEN 'lost' WHEN NOT activity.frequency IS NULL AND COALESCE(activity.recency_days, 91) > 30
AND customer.joined_on <= CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL '30 DAY' THEN 'silent' WHEN
trend.frequency_trend > 0.10 THEN 'rising' WHEN trend.frequency_trend < -0.10 THEN 'falling' WHEN NOT
trend.frequency_trend IS NULL THEN 'stable' END AS frequency_state FROM customer LEFT JOIN activity ON
activity.customer_id = customer.customer_id LEFT JOIN trend ON trend.customer_id = customer.customer_id WHERE
customer.joined_on < CAST(CAST('2026-07-01' AS DATE) AS DATE);

-- holdings
WITH held AS (SELECT DISTINCT customer_id, product_id FROM holding WHERE from_on < CAST(CAST('2026-07-01' AS DATE) AS
DATE) AND (to_on IS NULL OR to_on >= CAST(CAST('2026-07-01' AS DATE) AS DATE))), basket AS (SELECT held.customer_id,
COUNT(*) AS products, SUM(CAST(product.monthly_fee AS DECIMAL(18, 4))) AS fee FROM held LEFT JOIN product ON
product.product_id = held.product_id GROUP BY held.customer_id), known AS (SELECT CASE WHEN COUNT(*) > 0 THEN 0 END AS
zero FROM holding) SELECT customer.customer_id, CAST(COALESCE(basket.products, known.zero) AS DOUBLE PRECISION) AS
products_held, CAST(CASE WHEN basket.products > 0 THEN basket.fee ELSE known.zero END AS DOUBLE PRECISION) AS
product_fee FROM customer CROSS JOIN known LEFT JOIN basket ON basket.customer_id = customer.customer_id WHERE
customer.joined_on < CAST(CAST('2026-07-01' AS DATE) AS DATE);

-- life
WITH line AS (SELECT customer_id, contract, CASE WHEN ended_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) THEN 0 ELSE
1 END AS running FROM subscription WHERE activated_on < CAST(CAST('2026-07-01' AS DATE) AS DATE)), held AS (SELECT
customer_id, SUM(running) AS running, COUNT(contract) FILTER(WHERE running = 1) AS contracts, COUNT(*) FILTER(WHERE
running = 1 AND contract = 'prepaid') AS prepaid FROM line GROUP BY customer_id), known AS (SELECT CASE WHEN COUNT(*)
> 0 THEN 0 END AS zero FROM subscription) SELECT customer.customer_id, customer.kind, customer.province,
customer.gender, CAST(customer.birth_year AS DOUBLE PRECISION) AS birth_year, COALESCE(customer.is_staff, FALSE) AS
is_staff, CAST((EXTRACT(YEAR FROM CAST(CAST('2026-07-01' AS DATE) AS DATE)) - EXTRACT(YEAR FROM customer.joined_on)) *
12 + EXTRACT(MONTH FROM CAST(CAST('2026-07-01' AS DATE) AS DATE)) - EXTRACT(MONTH FROM customer.joined_on) - CASE WHEN
EXTRACT(DAY FROM CAST(CAST('2026-07-01' AS DATE) AS DATE)) < EXTRACT(DAY FROM customer.joined_on) THEN 1 ELSE 0 END AS
DOUBLE PRECISION) AS tenure_months, CAST(COALESCE(held.running, known.zero) AS DOUBLE PRECISION) AS lines,
CAST(held.prepaid AS DOUBLE PRECISION) / NULLIF(CAST(held.contracts AS DOUBLE PRECISION), 0) AS prepaid_share FROM
customer CROSS JOIN known LEFT JOIN held ON held.customer_id = customer.customer_id WHERE customer.joined_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE) AND COALESCE(held.running, 1) > 0;

-- payments
WITH paid AS (SELECT customer_id, COUNT(*) FILTER(WHERE amount > 0 AND paid_on >= CAST(CAST('2026-07-01' AS DATE) AS
DATE) - INTERVAL '90 DAY') AS payments, SUM(CAST(amount AS DECIMAL(18, 4))) FILTER(WHERE paid_on >=
CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL '90 DAY') AS amount, MAX(CASE WHEN amount > 0 THEN paid_on END) AS
last_on FROM payment WHERE paid_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) GROUP BY customer_id), known AS (SELECT
CASE WHEN COUNT(*) > 0 THEN 0 END AS zero FROM payment) SELECT customer.customer_id, CAST(COALESCE(paid.payments,
known.zero) AS DOUBLE PRECISION) AS payments_90d, CAST(COALESCE(paid.amount, known.zero) AS DOUBLE PRECISION) AS
paid_90d, CAST((CAST(CAST('2026-07-01' AS DATE) AS DATE) - CAST(paid.last_on AS DATE)) AS DOUBLE PRECISION) AS
days_since_payment FROM customer CROSS JOIN known LEFT JOIN paid ON paid.customer_id = customer.customer_id WHERE
customer.joined_on < CAST(CAST('2026-07-01' AS DATE) AS DATE);

-- service
WITH touch AS (SELECT customer_id, COUNT(*) AS contacts, COUNT(*) FILTER(WHERE channel = 'hotline' AND direction =
'in') AS hotline, SUM(CAST(wait_s AS DECIMAL(18, 3))) FILTER(WHERE channel = 'hotline' AND direction = 'in') AS
wait_s, COUNT(wait_s) FILTER(WHERE channel = 'hotline' AND direction = 'in') AS waits FROM contact WHERE contacted_at
>= CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL '90 DAY' AND contacted_at < CAST(CAST('2026-07-01' AS DATE) AS
DATE) GROUP BY customer_id), opened AS (SELECT customer_id, kind, CASE WHEN closed_at < CAST(CAST('2026-07-01' AS
DATE) AS DATE) THEN 0 ELSE 1 END AS still_open, CASE WHEN opened_at >= CAST(CAST('2026-07-01' AS DATE) AS DATE) -
INTERVAL '180 DAY' THEN 1 ELSE 0 END AS recent, CASE WHEN due_at < CAST(CAST('2026-07-01' AS DATE) AS DATE) AND
(closed_at IS NULL OR closed_at > due_at) THEN 1 ELSE 0 END AS overdue FROM ticket WHERE opened_at <
CAST(CAST('2026-07-01' AS DATE) AS DATE)), promise AS (SELECT customer_id, COUNT(*) FILTER(WHERE kind = 'complaint'
AND recent = 1) AS complaints, COUNT(*) FILTER(WHERE kind = 'fault' AND recent = 1) AS faults, SUM(still_open) AS
still_open, COUNT(*) FILTER(WHERE overdue = 1 AND recent = 1) AS overdue FROM opened GROUP BY customer_id),
known_contact AS (SELECT CASE WHEN COUNT(*) > 0 THEN 0 END AS zero FROM contact), known_ticket AS (SELECT CASE WHEN
COUNT(*) > 0 THEN 0 END AS zero FROM ticket) SELECT customer.customer_id, CAST(COALESCE(touch.contacts,
known_contact.zero) AS DOUBLE PRECISION) AS contacts_90d, CAST(COALESCE(touch.hotline, known_contact.zero) AS DOUBLE
PRECISION) AS hotline_90d, CAST(touch.wait_s AS DOUBLE PRECISION) / NULLIF(CAST(touch.waits AS DOUBLE PRECISION), 0)
AS wait_s_mean, CAST(COALESCE(promise.complaints, known_ticket.zero) AS DOUBLE PRECISION) AS complaints_180d,
CAST(COALESCE(promise.faults, known_ticket.zero) AS DOUBLE PRECISION) AS faults_180d,
CAST(COALESCE(promise.still_open, known_ticket.zero) AS DOUBLE PRECISION) AS open_tickets,
CAST(COALESCE(promise.overdue, known_ticket.zero) AS DOUBLE PRECISION) AS overdue_tickets_180d FROM customer CROSS
JOIN known_contact CROSS JOIN known_ticket LEFT JOIN touch ON touch.customer_id = customer.customer_id LEFT JOIN
promise ON promise.customer_id = customer.customer_id WHERE customer.joined_on < CAST(CAST('2026-07-01' AS DATE) AS
DATE);

-- usage_mix
WITH observed AS (SELECT DISTINCT month FROM usage_month WHERE EXTRACT(YEAR FROM month) * 12 + EXTRACT(MONTH FROM
month) BETWEEN EXTRACT(YEAR FROM CAST(CAST('2026-07-01' AS DATE) AS DATE)) * 12 + EXTRACT(MONTH FROM
CAST(CAST('2026-07-01' AS DATE) AS DATE)) - 3 AND EXTRACT(YEAR FROM CAST(CAST('2026-07-01' AS DATE) AS DATE)) * 12 +
EXTRACT(MONTH FROM CAST(CAST('2026-07-01' AS DATE) AS DATE)) - 1), alive AS (SELECT customer.customer_id, COUNT(*) AS
months FROM customer INNER JOIN observed ON observed.month >= customer.joined_on GROUP BY customer.customer_id), used
AS (SELECT usage_month.customer_id, SUM(CAST(usage_month.call_min AS DECIMAL(18, 6))) AS call_min,
SUM(CAST(usage_month.data_mb AS DECIMAL(18, 6))) AS data_mb, SUM(usage_month.messages) AS messages FROM usage_month
INNER JOIN observed ON observed.month = usage_month.month INNER JOIN customer ON customer.customer_id =
usage_month.customer_id AND observed.month >= customer.joined_on GROUP BY usage_month.customer_id), circle AS (SELECT
customer_id, COUNT(counterpart_key) AS counterparts FROM (SELECT DISTINCT customer_id, counterpart_key FROM
counterpart_month WHERE last_on >= CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL '90 DAY' AND first_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE)) AS other GROUP BY customer_id), known AS (SELECT CASE WHEN COUNT(*) > 0 THEN
0 END AS zero FROM detail_record) SELECT customer.customer_id, CAST(COALESCE(used.call_min, 0) AS DOUBLE PRECISION) /
CAST(alive.months AS DOUBLE PRECISION) AS call_min_month, CAST(COALESCE(used.data_mb, 0) AS DOUBLE PRECISION) /
CAST(alive.months AS DOUBLE PRECISION) AS data_mb_month, CAST(COALESCE(used.messages, 0) AS DOUBLE PRECISION) /
CAST(alive.months AS DOUBLE PRECISION) AS messages_month, CAST(recent_use.night AS DOUBLE PRECISION) /
NULLIF(recent_use.events, 0) AS night_share, CAST(recent_use.weekend AS DOUBLE PRECISION) / NULLIF(recent_use.events,
0) AS weekend_share, CAST(recent_use.on_net AS DOUBLE PRECISION) / NULLIF(recent_use.net_known, 0) AS on_net_share,
CAST(recent_use.roaming AS DOUBLE PRECISION) / NULLIF(recent_use.events, 0) AS roaming_share,
CAST(recent_use.international AS DOUBLE PRECISION) / NULLIF(recent_use.events, 0) AS international_share,
CAST(COALESCE(circle.counterparts, known.zero) AS DOUBLE PRECISION) AS counterparts FROM customer CROSS JOIN known
LEFT JOIN alive ON alive.customer_id = customer.customer_id LEFT JOIN used ON used.customer_id = customer.customer_id
LEFT JOIN recent_use ON recent_use.customer_id = customer.customer_id LEFT JOIN circle ON circle.customer_id =
customer.customer_id WHERE customer.joined_on < CAST(CAST('2026-07-01' AS DATE) AS DATE);

-- counterpart_month
SELECT customer_id, counterpart_key, CAST(EXTRACT(YEAR FROM started_at) * 12 + EXTRACT(MONTH FROM started_at) AS INT)
AS nth, MIN(CAST(started_at AS DATE)) AS first_on, MAX(CAST(started_at AS DATE)) AS last_on FROM detail_record WHERE
NOT counterpart_key IS NULL GROUP BY customer_id, counterpart_key, CAST(EXTRACT(YEAR FROM started_at) * 12 +
EXTRACT(MONTH FROM started_at) AS INT);

-- customer_day
WITH event AS (SELECT customer_id, CAST(started_at AS DATE) AS day_on, COUNT(*) AS events, COUNT(*) FILTER(WHERE
EXTRACT(HOUR FROM started_at) >= 22 OR EXTRACT(HOUR FROM started_at) < 6) AS night, COUNT(*) FILTER(WHERE on_net) AS
on_net, COUNT(on_net) AS net_known, COUNT(*) FILTER(WHERE zone = 'roaming') AS roaming, COUNT(*) FILTER(WHERE zone =
'international') AS international FROM detail_record GROUP BY customer_id, CAST(started_at AS DATE)), placed AS
(SELECT event.*, EXTRACT(YEAR FROM day_on) * 12 + EXTRACT(MONTH FROM day_on) AS nth, CAST((CAST(day_on AS DATE) -
CAST('1990-01-01' AS DATE)) AS DOUBLE PRECISION) AS since_monday FROM event) SELECT customer_id, day_on, CAST(nth AS
INT) AS nth, CAST(events AS INT) AS events, CAST(night AS INT) AS night, CAST(CASE WHEN since_monday - 7 *
FLOOR(CAST(since_monday AS DOUBLE PRECISION) / 7) >= 5 THEN events ELSE 0 END AS INT) AS weekend, CAST(on_net AS INT)
AS on_net, CAST(net_known AS INT) AS net_known, CAST(roaming AS INT) AS roaming, CAST(international AS INT) AS
international FROM placed;

-- customer_month
SELECT customer_id, nth, CAST(COUNT(*) AS INT) AS active_days, MAX(day_on) AS last_on, CAST(SUM(events) AS INT) AS
events, CAST(SUM(night) AS INT) AS night, CAST(SUM(weekend) AS INT) AS weekend, CAST(SUM(on_net) AS INT) AS on_net,
CAST(SUM(net_known) AS INT) AS net_known, CAST(SUM(roaming) AS INT) AS roaming, CAST(SUM(international) AS INT) AS
international FROM customer_day GROUP BY customer_id, nth;

-- recent_use
WITH edge AS (SELECT EXTRACT(YEAR FROM before_on) * 12 + EXTRACT(MONTH FROM before_on) AS first_nth, EXTRACT(YEAR FROM
end_on) * 12 + EXTRACT(MONTH FROM end_on) AS last_nth FROM (SELECT CAST(CAST(CAST('2026-07-01' AS DATE) AS DATE) -
INTERVAL '91 DAY' AS DATE) AS before_on, CAST(CAST('2026-07-01' AS DATE) AS DATE) AS end_on) AS given), part AS
(SELECT customer_id, active_days, last_on, events, night, weekend, on_net, net_known, roaming, international FROM
customer_month WHERE nth > (SELECT first_nth FROM edge) AND nth < (SELECT last_nth FROM edge) UNION ALL SELECT
customer_id, 1 AS active_days, day_on AS last_on, events, night, weekend, on_net, net_known, roaming, international
FROM customer_day WHERE day_on >= CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL '90 DAY' AND nth <= (SELECT
first_nth FROM edge) UNION ALL SELECT customer_id, 1 AS active_days, day_on AS last_on, events, night, weekend,
on_net, net_known, roaming, international FROM customer_day WHERE day_on < CAST(CAST('2026-07-01' AS DATE) AS DATE)
AND nth >= (SELECT last_nth FROM edge)) SELECT customer_id, MAX(last_on) AS last_on, SUM(active_days) AS active_days,
CAST(SUM(events) AS DOUBLE PRECISION) AS events, CAST(SUM(night) AS DOUBLE PRECISION) AS night, CAST(SUM(weekend) AS
DOUBLE PRECISION) AS weekend, CAST(SUM(on_net) AS DOUBLE PRECISION) AS on_net, CAST(SUM(net_known) AS DOUBLE
PRECISION) AS net_known, CAST(SUM(roaming) AS DOUBLE PRECISION) AS roaming, CAST(SUM(international) AS DOUBLE
PRECISION) AS international FROM part GROUP BY customer_id;

-- account_month
WITH falls AS (SELECT DISTINCT CAST(DATE_TRUNC('MONTH', due_on) AS DATE) AS month FROM bill_history), first_of AS
(SELECT month FROM falls UNION SELECT CAST(month + INTERVAL '1 MONTH' AS DATE) AS month FROM falls), looked AS (SELECT
on_day FROM (SELECT CAST(month + INTERVAL '1 DAY' * (CAST(30 AS INT) - 1) AS DATE) AS on_day FROM first_of) AS each
WHERE on_day <= CAST(CAST('2026-07-01' AS DATE) AS DATE)), holder AS (SELECT customer_id, MIN(due_on) AS first_due,
MAX(left_on) AS left_on, MAX(CAST(written_off AS INT)) AS unpaid FROM bill_history GROUP BY customer_id), account AS
(SELECT holder.customer_id, looked.on_day, holder.unpaid, CASE WHEN holder.left_on < looked.on_day THEN 1 ELSE 0 END
AS gone FROM holder INNER JOIN looked ON looked.on_day > holder.first_due WHERE holder.left_on IS NULL OR
holder.left_on >= looked.on_day - INTERVAL '1 MONTH'), late AS (SELECT bill_history.customer_id, bill_history.bill_id,
looked.on_day, bill_history.due_on, CAST(bill_history.amount AS DECIMAL(18, 4)) AS amount FROM bill_history INNER JOIN
looked ON looked.on_day > bill_history.due_on AND (bill_history.paid_on IS NULL OR bill_history.paid_on >=
looked.on_day)), part AS (SELECT late.bill_id, late.on_day, SUM(CASE WHEN payment.paid_on < late.on_day THEN
CAST(payment.amount AS DECIMAL(18, 4)) ELSE 0 END) AS before, SUM(CAST(payment.amount AS DECIMAL(18, 4))) AS by_then
FROM late INNER JOIN payment ON payment.bill_id = late.bill_id AND payment.paid_on < late.on_day + INTERVAL '90 DAY'
AND payment.paid_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) GROUP BY late.bill_id, late.on_day), owed AS (SELECT
late.customer_id, late.on_day, MAX((CAST(late.on_day AS DATE) - CAST(late.due_on AS DATE))) AS days, SUM(late.amount -
COALESCE(part.before, 0)) AS arrears, SUM(CASE WHEN late.amount > COALESCE(part.by_then, 0) THEN late.amount -
COALESCE(part.by_then, 0) ELSE 0 END) AS later FROM late LEFT JOIN part ON part.bill_id = late.bill_id AND part.on_day
= late.on_day WHERE late.amount > COALESCE(part.before, 0) GROUP BY late.customer_id, late.on_day) SELECT
account.customer_id, account.on_day AS month, CASE WHEN account.gone = 1 AND account.unpaid = 1 THEN 'written off'
WHEN account.gone = 1 THEN 'left' WHEN owed.days IS NULL THEN 'paid up' WHEN owed.days <= 10 THEN '0-10' WHEN
owed.days <= 20 THEN '11-20' WHEN owed.days <= 30 THEN '21-30' WHEN owed.days <= 60 THEN '31-60' WHEN owed.days <= 90
THEN '61-90' ELSE '90+' END AS state, CAST(owed.days AS DOUBLE PRECISION) AS days, CAST(COALESCE(owed.arrears, 0) AS
DOUBLE PRECISION) AS arrears, CASE WHEN account.on_day + INTERVAL '90 DAY' <= CAST(CAST('2026-07-01' AS DATE) AS DATE)
THEN CAST(COALESCE(owed.later, 0) AS DOUBLE PRECISION) END AS unpaid_90 FROM account LEFT JOIN owed ON
owed.customer_id = account.customer_id AND owed.on_day = account.on_day;

-- bill_history
WITH so_far AS (SELECT payment_id, bill_id, paid_on, CAST(amount AS DECIMAL(18, 4)) AS amount, SUM(CAST(amount AS
DECIMAL(18, 4))) OVER (PARTITION BY bill_id ORDER BY paid_on, payment_id) AS total FROM payment WHERE paid_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE) AND NOT bill_id IS NULL), lasting AS (SELECT bill_id, paid_on, amount,
MIN(total) OVER (PARTITION BY bill_id ORDER BY paid_on, payment_id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
AS total FROM so_far), paid AS (SELECT bill.bill_id, SUM(lasting.amount) AS amount, MIN(CASE WHEN lasting.total >=
CAST(bill.amount AS DECIMAL(18, 4)) THEN lasting.paid_on END) AS paid_on FROM bill INNER JOIN lasting ON
lasting.bill_id = bill.bill_id GROUP BY bill.bill_id), gone AS (SELECT line_life.customer_id, line_life.left_on,
MAX(CASE WHEN line.end_reason = 'non_payment' AND line.ended_on = line_life.left_on THEN 1 ELSE 0 END) AS unpaid FROM
line_life INNER JOIN subscription AS line ON line.customer_id = line_life.customer_id WHERE NOT line_life.left_on IS
NULL GROUP BY line_life.customer_id, line_life.left_on) SELECT bill.customer_id, bill.bill_id, CASE WHEN bill.due_on
>= bill.issued_on THEN bill.due_on END AS due_on, bill.amount, CAST(COALESCE(paid.amount, 0) AS DOUBLE PRECISION) AS
paid, paid.paid_on, gone.left_on, CASE WHEN NOT gone.left_on IS NULL THEN gone.unpaid = 1 END AS written_off FROM bill
LEFT JOIN paid ON paid.bill_id = bill.bill_id LEFT JOIN gone ON gone.customer_id = bill.customer_id WHERE bill.amount
> 0 AND bill.due_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) AND bill.issued_on < CAST(CAST('2026-07-01' AS DATE) AS
DATE) AND (SELECT COUNT(bill_id) FROM payment) > 0;

-- business_account
WITH known AS (SELECT customer_id, month, CAST(amount AS DECIMAL(18, 4)) AS amount, CAST(discount AS DECIMAL(18, 4))
AS discount FROM bill WHERE issued_on < CAST(CAST('2026-07-01' AS DATE) AS DATE)), span AS (SELECT MIN(month) AS
since, CAST(MAX(month) + INTERVAL '1 MONTH' AS DATE) AS until FROM known), delivered AS (SELECT DISTINCT month FROM
known), year AS (SELECT delivered.month, CASE WHEN earlier.month IS NULL THEN 0 ELSE 1 END AS paired FROM delivered
INNER JOIN span ON delivered.month >= span.until - INTERVAL '12 MONTH' LEFT JOIN delivered AS earlier ON earlier.month
= delivered.month - INTERVAL '12 MONTH'), size AS (SELECT CAST(12 AS DOUBLE PRECISION) / CAST(NULLIF(COUNT(*), 0) AS
DOUBLE PRECISION) AS whole, SUM(paired) AS pairs FROM year), money AS (SELECT known.customer_id, SUM(known.amount)
FILTER(WHERE NOT this.month IS NULL) AS revenue, SUM(known.discount) FILTER(WHERE NOT this.month IS NULL) AS discount,
SUM(known.amount) FILTER(WHERE this.paired = 1) AS after, SUM(known.amount) FILTER(WHERE later.paired = 1) AS before
FROM known LEFT JOIN year AS this ON this.month = known.month LEFT JOIN year AS later ON later.month = known.month +
INTERVAL '12 MONTH' GROUP BY known.customer_id), line AS (SELECT customer_id, COUNT(*) AS lines FROM subscription
WHERE activated_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) AND (ended_on IS NULL OR ended_on >=
CAST(CAST('2026-07-01' AS DATE) AS DATE)) GROUP BY customer_id) SELECT customer.customer_id, customer.kind,
customer.province, size.whole * CAST(COALESCE(money.revenue, 0) AS DOUBLE PRECISION) AS revenue_12m, CASE WHEN
GREATEST(customer.joined_on, span.since) <= span.until - INTERVAL '24 MONTH' AND money.before > 0 AND size.pairs >= 6
THEN CAST(COALESCE(money.after, 0) AS DOUBLE PRECISION) / CAST(money.before AS DOUBLE PRECISION) - 1 END AS growth,
CAST(line.lines AS DOUBLE PRECISION) AS lines, size.whole * (CAST(30 AS DOUBLE PRECISION) *
CAST(COALESCE(money.revenue + money.discount, 0) AS DOUBLE PRECISION) - CAST(COALESCE(money.discount, 0) AS DOUBLE
PRECISION)) AS margin_12m, CAST((CAST(CAST('2026-07-01' AS DATE) AS DATE) - CAST(customer.joined_on AS DATE)) AS
DOUBLE PRECISION) / CAST(30.4375 AS DOUBLE PRECISION) AS tenure_months FROM customer INNER JOIN line ON
line.customer_id = customer.customer_id LEFT JOIN money ON money.customer_id = customer.customer_id CROSS JOIN span
CROSS JOIN size WHERE customer.joined_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) AND customer.kind IN ('company',
'government');

-- campaign_contact
SELECT campaign_id, customer_id, assigned_on AS day FROM assigned_member WHERE contacted AND campaign_id <> 'it''s';

-- campaign_exposure
WITH other AS (SELECT own.customer_id, assigned_member.assignment, CASE WHEN assigned_member.assigned_on <
own.assigned_on THEN 1 ELSE 0 END AS earlier, CASE WHEN assigned_member.contacted AND assigned_member.arm <> 'control'
THEN 1 ELSE 0 END AS reached FROM assigned_member AS own INNER JOIN assigned_member ON assigned_member.customer_id =
own.customer_id WHERE own.campaign_id = 'it''s' AND assigned_member.campaign_id <> 'it''s' AND
assigned_member.assigned_on >= own.assigned_on - INTERVAL '1 DAY' * CAST(30 AS INT) AND assigned_member.assigned_on <=
own.assigned_on + INTERVAL '1 DAY' * CAST(30 AS INT)) SELECT assigned_member.customer_id, COUNT(*) FILTER(WHERE
other.earlier = 1) AS offers_before, COUNT(*) FILTER(WHERE other.earlier = 1 AND other.reached = 1) AS
contacts_before, COUNT(*) FILTER(WHERE other.earlier = 0) AS offers_during, COUNT(*) FILTER(WHERE other.earlier = 0
AND other.reached = 1) AS contacts_during, COUNT(*) FILTER(WHERE other.earlier = 1 AND other.assignment <>
'randomised') = 0 AS randomised FROM assigned_member LEFT JOIN other ON other.customer_id =
assigned_member.customer_id WHERE assigned_member.campaign_id = 'it''s' GROUP BY assigned_member.customer_id;

-- campaign_member_life
WITH own AS (SELECT customer_id, assigned_on, CAST(DATE_TRUNC('MONTH', assigned_on) AS DATE) AS month FROM
assigned_member WHERE campaign_id = 'it''s'), earlier AS (SELECT own.customer_id, SUM(CAST(bill.amount AS DECIMAL(18,
4))) AS amount FROM own INNER JOIN bill ON bill.customer_id = own.customer_id AND bill.month < own.month AND
bill.month >= own.month - INTERVAL '3 MONTH' GROUP BY own.customer_id), delivered AS (SELECT start.month, COUNT(*) AS
months FROM (SELECT DISTINCT month FROM own) AS start INNER JOIN billed_month ON billed_month.month < start.month AND
billed_month.month >= start.month - INTERVAL '3 MONTH' GROUP BY start.month) SELECT own.customer_id, own.assigned_on,
CAST((CAST(COALESCE(line_life.left_on, CAST(CAST('2026-07-01' AS DATE) AS DATE)) AS DATE) - CAST(own.assigned_on AS
DATE)) AS DOUBLE PRECISION) AS days_known, CAST(CASE WHEN NOT line_life.left_on IS NULL THEN 1 WHEN NOT
line_life.customer_id IS NULL THEN 0 END AS INT) AS left_us, CAST(COALESCE(earlier.amount, 0) AS DOUBLE PRECISION) /
CAST(delivered.months AS DOUBLE PRECISION) AS revenue_before FROM own LEFT JOIN line_life ON line_life.customer_id =
own.customer_id LEFT JOIN earlier ON earlier.customer_id = own.customer_id LEFT JOIN delivered ON delivered.month =
own.month;

-- campaign_member_window
WITH own AS (SELECT customer_id, assigned_on, CAST(assigned_on + INTERVAL '1 DAY' * CAST(30 AS INT) AS DATE) AS
end_on, CASE WHEN EXTRACT(DAY FROM assigned_on) = 1 THEN assigned_on ELSE CAST(CAST(DATE_TRUNC('MONTH', assigned_on)
AS DATE) + INTERVAL '1 MONTH' AS DATE) END AS month FROM assigned_member WHERE campaign_id = 'it''s'), paid AS (SELECT
own.customer_id, SUM(CAST(bill.amount AS DECIMAL(18, 4))) AS amount FROM own INNER JOIN bill ON bill.customer_id =
own.customer_id AND bill.month >= own.month AND bill.month < own.month + INTERVAL '1 MONTH' * CAST(FLOOR(CAST(30 AS
DOUBLE PRECISION) / 30) AS INT) GROUP BY own.customer_id), complaint AS (SELECT own.customer_id, COUNT(*) AS tickets
FROM own INNER JOIN ticket ON ticket.customer_id = own.customer_id AND ticket.opened_at >= own.assigned_on AND
ticket.opened_at < own.end_on WHERE ticket.kind = 'complaint' GROUP BY own.customer_id), called AS (SELECT
own.customer_id, COUNT(*) AS contacts FROM own INNER JOIN contact ON contact.customer_id = own.customer_id AND
contact.contacted_at >= own.assigned_on AND contact.contacted_at < own.end_on WHERE contact.direction = 'in' GROUP BY
own.customer_id), used AS (SELECT own.customer_id, SUM(customer_day.events) AS events FROM own INNER JOIN customer_day
ON customer_day.customer_id = own.customer_id AND customer_day.day_on >= own.assigned_on AND customer_day.day_on <
own.end_on GROUP BY own.customer_id) SELECT own.customer_id, CAST(COALESCE(paid.amount, 0) AS DOUBLE PRECISION) AS
revenue, CAST(COALESCE(complaint.tickets, 0) AS DOUBLE PRECISION) AS complaints, CAST(COALESCE(called.contacts, 0) AS
DOUBLE PRECISION) AS calls_to_us, CAST(COALESCE(used.events, 0) AS DOUBLE PRECISION) AS events FROM own LEFT JOIN paid
ON paid.customer_id = own.customer_id LEFT JOIN complaint ON complaint.customer_id = own.customer_id LEFT JOIN called
ON called.customer_id = own.customer_id LEFT JOIN used ON used.customer_id = own.customer_id;

-- campaign_value
SELECT kind, name, COUNT(*) AS members FROM campaign_member_value WHERE campaign_id = 'it''s' GROUP BY kind, name;

-- closed_campaign_member
WITH known AS (SELECT campaign_id, customer_id, value FROM campaign_member_value WHERE kind = 'covariates' AND name =
30), response AS (SELECT campaign_id, customer_id, value FROM campaign_member_value WHERE kind = 'outcomes' AND name =
'responded'), result AS (SELECT campaign_id, customer_id, value FROM campaign_member_value WHERE kind = 'outcomes' AND
name = 30 AND NOT value IS NULL) SELECT campaign_member.campaign_id, campaign_member.customer_id, campaign_member.arm,
CAST(CASE WHEN campaign_member.arm <> 'control' THEN 1 ELSE 0 END AS INT) AS treatment, result.value AS outcome,
known.value AS known, response.value AS responded, campaign.starts_on, campaign.contact_cost, campaign.incentive_cost,
campaign.margin FROM campaign_member INNER JOIN campaign ON campaign.campaign_id = campaign_member.campaign_id INNER
JOIN result ON result.campaign_id = campaign_member.campaign_id AND result.customer_id = campaign_member.customer_id
LEFT JOIN known ON known.campaign_id = campaign_member.campaign_id AND known.customer_id = campaign_member.customer_id
LEFT JOIN response ON response.campaign_id = campaign_member.campaign_id AND response.customer_id =
campaign_member.customer_id WHERE campaign.assignment = 'randomised' AND campaign.ends_on < CAST(CAST('2026-07-01' AS
DATE) AS DATE);

-- collection_stage
WITH paid AS (SELECT act.action_id, SUM(CASE WHEN payment.paid_on < act.acted_on THEN CAST(payment.amount AS
DECIMAL(18, 4)) ELSE 0 END) AS before, SUM(CASE WHEN payment.paid_on >= act.acted_on AND payment.paid_on <
act.acted_on + INTERVAL '10 DAY' THEN CAST(payment.amount AS DECIMAL(18, 4)) ELSE 0 END) AS within FROM
collection_action AS act INNER JOIN payment ON payment.bill_id = act.bill_id WHERE act.acted_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE) AND payment.paid_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) GROUP BY
act.action_id) SELECT act.action_id, act.bill_id, act.customer_id, act.stage, act.action, act.collector, act.arm,
act.acted_on, act.cost, act.outcome, (CAST(act.acted_on AS DATE) - CAST(bill_history.due_on AS DATE)) AS days,
bill_history.amount - CAST(COALESCE(paid.before, 0) AS DOUBLE PRECISION) AS owed, CASE WHEN act.acted_on + INTERVAL
'10 DAY' <= CAST(CAST('2026-07-01' AS DATE) AS DATE) THEN CAST(COALESCE(paid.within, 0) AS DOUBLE PRECISION) END AS
collected, CASE WHEN act.acted_on + INTERVAL '10 DAY' <= CAST(CAST('2026-07-01' AS DATE) AS DATE) THEN
COALESCE(bill_history.paid_on >= act.acted_on AND bill_history.paid_on < act.acted_on + INTERVAL '10 DAY', FALSE) END
AS settled, CASE WHEN act.acted_on + INTERVAL '91 DAY' <= CAST(CAST('2026-07-01' AS DATE) AS DATE) THEN COALESCE(NOT
bill_history.written_off AND bill_history.left_on > act.acted_on AND bill_history.left_on <= act.acted_on + INTERVAL
'90 DAY', FALSE) END AS left_90 FROM collection_action AS act INNER JOIN bill_history ON bill_history.bill_id =
act.bill_id LEFT JOIN paid ON paid.action_id = act.action_id WHERE act.acted_on < CAST(CAST('2026-07-01' AS DATE) AS
DATE);

-- complaint_outcome
SELECT ticket_id, customer_id, opened_at, due_at, CASE WHEN closed_at < CAST(CAST('2026-07-01' AS DATE) AS DATE) THEN
closed_at END AS closed_at, CASE WHEN closed_at < CAST(CAST('2026-07-01' AS DATE) AS DATE) THEN outcome END AS
outcome, queue, CASE WHEN closed_at < CAST(CAST('2026-07-01' AS DATE) AS DATE) THEN compensation END AS compensation,
compensation_arm FROM ticket WHERE kind = 'complaint' AND opened_at < CAST(CAST('2026-07-01' AS DATE) AS DATE);

-- credit_history
WITH bills AS (SELECT customer_id, bill_id, due_on, amount, CASE WHEN paid_on < CAST(CAST('2026-07-01' AS DATE) AS
DATE) THEN paid_on END AS covered_on, CASE WHEN due_on + INTERVAL '60 DAY' >= CAST(CAST('2026-07-01' AS DATE) AS DATE)
AND due_on + INTERVAL '60 DAY' < CAST(CAST('2026-07-01' AS DATE) AS DATE) + INTERVAL '3 MONTH' AND (paid_on IS NULL OR
paid_on > due_on + INTERVAL '60 DAY') THEN 1 ELSE 0 END AS worse FROM bill_history WHERE left_on IS NULL OR left_on >=
CAST(CAST('2026-07-01' AS DATE) AS DATE)), part AS (SELECT bill_id, SUM(CAST(amount AS DECIMAL(18, 4))) AS amount,
MAX(paid_on) AS last_on FROM payment WHERE paid_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) AND NOT bill_id IS NULL
GROUP BY bill_id), settled AS (SELECT bills.*, CAST(bills.amount AS DECIMAL(18, 4)) - COALESCE(part.amount, 0) AS
open_amount, CASE WHEN CAST(bills.amount AS DECIMAL(18, 4)) <= part.amount THEN COALESCE(bills.covered_on,
part.last_on) END AS paid_on FROM bills LEFT JOIN part ON part.bill_id = bills.bill_id), told AS (SELECT settled.*,
CASE WHEN settled.due_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) THEN 1 ELSE 0 END AS due, CASE WHEN settled.due_on
< CAST(CAST('2026-07-01' AS DATE) AS DATE) AND settled.due_on >= CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL
'12 MONTH' THEN 1 ELSE 0 END AS recent, (CAST(COALESCE(settled.paid_on, CAST(CAST('2026-07-01' AS DATE) AS DATE)) AS
DATE) - CAST(settled.due_on AS DATE)) AS days_late FROM settled), known AS (SELECT customer_id, SUM(CASE WHEN due = 1
AND paid_on IS NULL THEN open_amount ELSE 0 END) AS arrears, MAX(CASE WHEN due = 1 AND paid_on IS NULL THEN days_late
ELSE 0 END) AS arrears_days, SUM(recent) AS bills_12m, SUM(CASE WHEN recent = 1 AND days_late > 0 THEN 1 ELSE 0 END)
AS late_12m, MAX(CASE WHEN recent = 1 AND days_late > 0 THEN days_late ELSE 0 END) AS days_late_max, MAX(CASE WHEN due
= 1 THEN due_on END) AS last_due, SUM(CASE WHEN due = 1 THEN CAST(amount AS DECIMAL(18, 4)) ELSE 0 END) AS billed,
SUM(CASE WHEN recent = 1 THEN CAST(amount AS DECIMAL(18, 4)) ELSE 0 END) AS billed_12m, MAX(worse) AS worse FROM told
GROUP BY customer_id) SELECT known.customer_id, CAST(known.arrears AS DOUBLE PRECISION) AS arrears,
CAST(known.arrears_days AS DOUBLE PRECISION) AS arrears_days, CAST(known.bills_12m AS DOUBLE PRECISION) AS bills_12m,
CAST(known.late_12m AS DOUBLE PRECISION) / NULLIF(CAST(known.bills_12m AS DOUBLE PRECISION), 0) AS late_share,
CAST(known.days_late_max AS DOUBLE PRECISION) AS days_late_max, CAST(last_bill.days_late AS DOUBLE PRECISION) AS
days_late_last, CAST((CAST(CAST('2026-07-01' AS DATE) AS DATE) - CAST(customer.joined_on AS DATE)) AS DOUBLE
PRECISION) / CAST(30.4375 AS DOUBLE PRECISION) AS tenure_months, CAST(known.billed AS DOUBLE PRECISION) AS
billed_total, CAST(known.billed_12m AS DOUBLE PRECISION) / NULLIF(CAST(known.bills_12m AS DOUBLE PRECISION), 0) AS
bill_mean, CASE WHEN CAST(CAST('2026-07-01' AS DATE) AS DATE) + INTERVAL '3 MONTH' <= CAST(CAST('2026-07-01' AS DATE)
AS DATE) THEN known.worse = 1 END AS late_60 FROM known INNER JOIN customer ON customer.customer_id =
known.customer_id INNER JOIN (SELECT customer_id, due_on, MAX(CASE WHEN days_late > 0 THEN days_late ELSE 0 END) AS
days_late FROM told GROUP BY customer_id, due_on) AS last_bill ON last_bill.customer_id = known.customer_id AND
last_bill.due_on = known.last_due WHERE NOT known.last_due IS NULL;

-- customer_base
SELECT customer_id, kind, contract, CASE WHEN (CAST(CAST('2026-07-01' AS DATE) AS DATE) - CAST(first_on AS DATE)) <
183 THEN 'under 6 months' WHEN (CAST(CAST('2026-07-01' AS DATE) AS DATE) - CAST(first_on AS DATE)) < 365 THEN '6-11
months' WHEN (CAST(CAST('2026-07-01' AS DATE) AS DATE) - CAST(first_on AS DATE)) < 1096 THEN '1-2 years' WHEN
(CAST(CAST('2026-07-01' AS DATE) AS DATE) - CAST(first_on AS DATE)) < 2922 THEN '3-7 years' ELSE '8 years or more' END
AS tenure_band, CASE WHEN left_on IS NULL THEN 0 ELSE 1 END AS left_us FROM customer_leaving WHERE first_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE) AND (left_on IS NULL OR left_on >= CAST(CAST('2026-07-01' AS DATE) AS DATE));

-- customer_contradiction
WITH life AS (SELECT customer_id, CASE WHEN COUNT(*) = COUNT(ended_on) THEN MAX(ended_on) END AS left_on FROM
subscription GROUP BY customer_id), billable AS (SELECT DISTINCT line.customer_id, billed_month.month FROM
subscription AS line INNER JOIN customer ON customer.customer_id = line.customer_id AND NOT
COALESCE(customer.is_staff, FALSE) INNER JOIN billed_month ON line.activated_on <= billed_month.month AND
(line.ended_on IS NULL OR line.ended_on >= billed_month.month + INTERVAL '1 MONTH' - INTERVAL '1 DAY') WHERE
COALESCE(line.contract, '') <> 'prepaid' AND billed_month.month + INTERVAL '1 MONTH' <= CAST(CAST('2026-07-01' AS
DATE) AS DATE)), billed AS (SELECT DISTINCT customer_id, month FROM bill), payer AS (SELECT customer_id FROM bill
UNION SELECT customer_id FROM payment), settled AS (SELECT bill_id, SUM(CAST(amount AS DECIMAL(18, 4))) AS amount,
MAX(paid_on) AS paid_on FROM payment WHERE NOT bill_id IS NULL AND paid_on < CAST(CAST('2026-07-01' AS DATE) AS DATE)
GROUP BY bill_id), record AS (SELECT customer_id, subscription_id, CAST(MIN(started_at) AS DATE) AS first_on,
CAST(MAX(started_at) AS DATE) AS last_on FROM detail_record WHERE started_at < CAST(CAST('2026-07-01' AS DATE) AS
DATE) GROUP BY customer_id, subscription_id), broken AS (SELECT 'bill_without_line' AS rule, bill.customer_id,
bill.month AS day FROM bill WHERE bill.issued_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) AND EXISTS(SELECT 1 FROM
subscription) AND NOT EXISTS(SELECT 1 FROM subscription AS line WHERE line.customer_id = bill.customer_id AND
line.activated_on < bill.month + INTERVAL '1 MONTH' AND (line.ended_on IS NULL OR line.ended_on >= bill.month)) UNION
ALL SELECT 'line_without_bill', billable.customer_id, billable.month FROM billable LEFT JOIN billed ON
billed.customer_id = billable.customer_id AND billed.month = billable.month WHERE billed.customer_id IS NULL AND
EXISTS(SELECT 1 FROM payer WHERE payer.customer_id = billable.customer_id) UNION ALL SELECT
'customer_without_billing', billable.customer_id, billable.month FROM billable WHERE NOT EXISTS(SELECT 1 FROM payer
WHERE payer.customer_id = billable.customer_id) UNION ALL SELECT 'customer_without_line', customer_id, joined_on FROM
customer WHERE joined_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) AND NOT COALESCE(kind, '') IN ('reseller',
'distributor') AND EXISTS(SELECT 1 FROM subscription) AND NOT EXISTS(SELECT 1 FROM subscription AS line WHERE
line.customer_id = customer.customer_id) UNION ALL SELECT 'line_before_customer', line.customer_id, line.activated_on
FROM subscription AS line INNER JOIN customer ON customer.customer_id = line.customer_id WHERE line.activated_on <
customer.joined_on UNION ALL SELECT 'number_twice', line.customer_id, line.activated_on FROM subscription AS line
WHERE line.activated_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) AND EXISTS(SELECT 1 FROM subscription AS other
WHERE other.number_key = line.number_key AND other.subscription_id <> line.subscription_id AND other.activated_on <=
COALESCE(line.ended_on, CAST(CAST('2026-07-01' AS DATE) AS DATE)) AND line.activated_on <= COALESCE(other.ended_on,
CAST(CAST('2026-07-01' AS DATE) AS DATE))) UNION ALL SELECT 'payment_over_bill', bill.customer_id, settled.paid_on
FROM bill INNER JOIN settled ON settled.bill_id = bill.bill_id WHERE settled.amount > CAST(bill.amount AS DECIMAL(18,
4)) AND settled.amount > 0 UNION ALL SELECT 'bill_not_adding_up', customer_id, month FROM bill WHERE issued_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE) AND CAST(recurring + usage_charge - discount - amount AS DECIMAL(18, 2)) <> 0
UNION ALL SELECT 'record_outside_line', record.customer_id, record.last_on FROM record INNER JOIN subscription AS line
ON line.subscription_id = record.subscription_id WHERE record.first_on < line.activated_on OR record.last_on >
line.ended_on UNION ALL SELECT 'record_on_another_line', record.customer_id, record.last_on FROM record INNER JOIN
subscription AS line ON line.subscription_id = record.subscription_id WHERE record.customer_id <> line.customer_id
UNION ALL SELECT 'usage_outside_line', used.customer_id, used.month FROM usage_month AS used INNER JOIN subscription
AS line ON line.subscription_id = used.subscription_id WHERE used.month < CAST(CAST('2026-07-01' AS DATE) AS DATE) AND
(used.month + INTERVAL '1 MONTH' <= line.activated_on OR used.month > line.ended_on) UNION ALL SELECT
'ticket_closed_early', customer_id, CAST(opened_at AS DATE) FROM ticket WHERE opened_at < CAST(CAST('2026-07-01' AS
DATE) AS DATE) AND closed_at < opened_at UNION ALL SELECT 'product_after_leaving', held.customer_id, held.from_on FROM
holding AS held INNER JOIN life ON life.customer_id = held.customer_id WHERE life.left_on < CAST(CAST('2026-07-01' AS
DATE) AS DATE) AND (held.to_on IS NULL OR held.to_on > life.left_on) UNION ALL SELECT 'campaign_after_leaving',
member.customer_id, member.assigned_on FROM campaign_member AS member INNER JOIN life ON life.customer_id =
member.customer_id WHERE member.contacted AND member.assigned_on > life.left_on AND member.assigned_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE)) SELECT rule, customer_id, COUNT(*) AS cases, MAX(day) AS latest_on FROM
broken GROUP BY rule, customer_id;

-- customer_event
WITH happened AS (SELECT contacted_at AS happened_at, 'contact' AS subject, CASE WHEN direction = 'in' THEN 'came to
us' ELSE 'contacted by us' END AS what, channel || COALESCE(': ' || topic, '') AS detail, contact_id AS reference,
CAST(NULL AS DOUBLE PRECISION) AS amount, '' AS unit FROM contact WHERE customer_id = 'it''s' UNION ALL SELECT
opened_at, 'ticket', kind || ' opened', COALESCE(category, service), ticket_id, NULL, '' FROM ticket WHERE customer_id
= 'it''s' UNION ALL SELECT due_at, 'ticket', kind || ' past its promised time', COALESCE(category, service),
ticket_id, NULL, '' FROM ticket WHERE customer_id = 'it''s' AND (closed_at IS NULL OR closed_at > due_at) UNION ALL
SELECT closed_at, 'ticket', kind || ' closed', outcome, ticket_id, CASE WHEN compensation > 0 THEN compensation END,
CASE WHEN compensation > 0 THEN 'currency' ELSE '' END FROM ticket WHERE customer_id = 'it''s' UNION ALL SELECT
joined_on, 'customer', 'joined', province, NULL, NULL, '' FROM customer WHERE customer_id = 'it''s' UNION ALL SELECT
line.activated_on, 'subscription', 'line began', line.service || COALESCE(': ' || COALESCE(tariff.name,
line.tariff_id), ''), line.subscription_id, tariff.monthly_fee, CASE WHEN tariff.monthly_fee IS NULL THEN '' ELSE
'currency/month' END FROM subscription AS line LEFT JOIN tariff ON tariff.tariff_id = line.tariff_id WHERE
line.customer_id = 'it''s' UNION ALL SELECT ended_on, 'subscription', 'line ended', service || COALESCE(': ' ||
end_reason, ''), subscription_id, NULL, '' FROM subscription WHERE customer_id = 'it''s' UNION ALL SELECT issued_on,
'bill', CASE WHEN amount < 0 THEN 'credit note' ELSE 'bill' END, NULL, bill_id, amount, 'currency' FROM bill WHERE
customer_id = 'it''s' UNION ALL SELECT paid_on, 'payment', CASE WHEN amount < 0 THEN 'refund' WHEN bill_id IS NULL
THEN 'top-up or purchase' ELSE 'bill paid' END, method, payment_id, amount, 'currency' FROM payment WHERE customer_id
= 'it''s' UNION ALL SELECT acted_on, 'collection_action', CASE WHEN arm = 'held_out' THEN 'collection held back by
chance' WHEN action = 'remind' THEN 'reminded of an unpaid bill' WHEN action = 'call' THEN 'called about an unpaid
bill' WHEN action = 'restrict' THEN 'restricted for an unpaid bill' WHEN action = 'disconnect' THEN 'cut off for an
unpaid bill' ELSE 'legal action on an unpaid bill' END, outcome, bill_id, NULL, '' FROM collection_action WHERE
customer_id = 'it''s' UNION ALL SELECT opened_on, 'fraud_case', 'looked at for fraud', source, case_id, NULL, '' FROM
fraud_case WHERE customer_id = 'it''s' UNION ALL SELECT decided_on, 'fraud_case', CASE WHEN verdict = 'fraud' THEN
'found to be fraud' ELSE 'found honest' END, kind, case_id, CASE WHEN loss > 0 THEN loss END, CASE WHEN loss > 0 THEN
'currency' ELSE '' END FROM fraud_case WHERE customer_id = 'it''s' AND NOT verdict IS NULL UNION ALL SELECT CAST(month
+ INTERVAL '1 MONTH' - INTERVAL '1 DAY' AS DATE), 'usage_month', 'called in the month', NULL, NULL, SUM(call_min),
'min' FROM usage_month WHERE customer_id = 'it''s' GROUP BY month UNION ALL SELECT CAST(month + INTERVAL '1 MONTH' -
INTERVAL '1 DAY' AS DATE), 'usage_month', 'data in the month', NULL, NULL, SUM(data_mb), 'MB' FROM usage_month WHERE
customer_id = 'it''s' GROUP BY month UNION ALL SELECT MAX(day_on), 'detail_record', 'events in the month', NULL, NULL,
CAST(SUM(events) AS DOUBLE PRECISION), 'events' FROM customer_day WHERE customer_id = 'it''s' AND day_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE) GROUP BY nth UNION ALL SELECT invited_on, 'survey_invitation', 'invited to a
survey', wave || ': ' || outcome, invitation_id, NULL, '' FROM survey_invitation WHERE customer_id = 'it''s' UNION ALL
SELECT answered_on, 'survey_response', 'answered a survey', wave || ', ' || service || COALESCE(': asks for ' ||
request, ''), response_id, NULL, '' FROM survey_response WHERE customer_id = 'it''s' UNION ALL SELECT
member.assigned_on, 'campaign_member', CASE WHEN member.contacted THEN 'contacted by a campaign' ELSE 'in a campaign,
not contacted' END, campaign.name || ': ' || member.arm, member.campaign_id, NULL, '' FROM assigned_member AS member
INNER JOIN campaign ON campaign.campaign_id = member.campaign_id WHERE member.customer_id = 'it''s' UNION ALL SELECT
held.from_on, 'holding', 'product taken', COALESCE(product.name, held.product_id), held.product_id,
product.monthly_fee, CASE WHEN product.monthly_fee IS NULL THEN '' ELSE 'currency/month' END FROM holding AS held LEFT
JOIN product ON product.product_id = held.product_id WHERE held.customer_id = 'it''s' UNION ALL SELECT held.to_on,
'holding', 'product ended', COALESCE(product.name, held.product_id), held.product_id, NULL, '' FROM holding AS held
LEFT JOIN product ON product.product_id = held.product_id WHERE held.customer_id = 'it''s' UNION ALL SELECT
sale.opened_on, 'opportunity', 'lead opened', COALESCE(product.name, sale.product_id), sale.opportunity_id,
sale.value, CASE WHEN sale.value IS NULL THEN '' ELSE 'currency' END FROM opportunity AS sale LEFT JOIN product ON
product.product_id = sale.product_id WHERE sale.customer_id = 'it''s' UNION ALL SELECT sale.closed_on, 'opportunity',
'lead ' || sale.stage, COALESCE(product.name, sale.product_id), sale.opportunity_id, NULL, '' FROM opportunity AS sale
LEFT JOIN product ON product.product_id = sale.product_id WHERE sale.customer_id = 'it''s') SELECT happened_at,
subject, what, detail, reference, amount, unit FROM happened WHERE happened_at < CAST(CAST('2026-07-01' AS DATE) AS
DATE);

-- customer_exit
WITH line AS (SELECT customer_id, contract, activated_on, CASE WHEN ended_on < CAST(CAST('2026-07-01' AS DATE) AS
DATE) THEN ended_on END AS ended_on, CASE WHEN ended_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) THEN end_reason END
AS end_reason FROM subscription WHERE activated_on < CAST(CAST('2026-07-01' AS DATE) AS DATE)), life AS (SELECT
customer_id, CASE WHEN COUNT(*) = COUNT(ended_on) THEN MAX(ended_on) END AS last_on FROM line GROUP BY customer_id),
ended AS (SELECT life.customer_id, life.last_on, COALESCE(MAX(CASE WHEN line.end_reason = 'non_payment' THEN
line.end_reason END), MAX(line.end_reason), 'unknown') AS cause FROM life INNER JOIN line ON line.customer_id =
life.customer_id AND line.ended_on = life.last_on GROUP BY life.customer_id, life.last_on), month_used AS (SELECT
customer_id, last_on, nth, LEAD(nth) OVER (PARTITION BY customer_id ORDER BY nth) AS next_nth FROM customer_month
WHERE last_on < CAST(CAST('2026-07-01' AS DATE) AS DATE)), quiet AS (SELECT month_used.customer_id,
month_used.last_on, MIN(customer_day.day_on) AS back_on FROM month_used LEFT JOIN customer_day ON
customer_day.customer_id = month_used.customer_id AND customer_day.nth = month_used.next_nth AND customer_day.day_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE) WHERE month_used.next_nth IS NULL OR month_used.next_nth > month_used.nth + 1
OR month_used.last_on + CAST(30 AS INT) * INTERVAL '1 DAY' < CAST(DATE_TRUNC('MONTH', month_used.last_on) AS DATE) +
INTERVAL '2 MONTH' GROUP BY month_used.customer_id, month_used.last_on), fell AS (SELECT customer_id, back_on,
CAST(last_on + CAST(30 AS INT) * INTERVAL '1 DAY' AS DATE) AS last_on FROM quiet), silent AS (SELECT fell.customer_id,
fell.last_on, fell.back_on FROM fell INNER JOIN line ON line.customer_id = fell.customer_id AND line.activated_on <=
fell.last_on AND (line.ended_on IS NULL OR line.ended_on > fell.last_on) WHERE fell.last_on < CAST(CAST('2026-07-01'
AS DATE) AS DATE) AND (fell.back_on IS NULL OR fell.back_on > fell.last_on) GROUP BY fell.customer_id, fell.last_on,
fell.back_on HAVING COUNT(*) = COUNT(CASE WHEN line.contract = 'prepaid' THEN 1 END)) SELECT customer_id, last_on,
CAST(NULL AS DATE) AS back_on, cause FROM ended UNION ALL SELECT customer_id, last_on, back_on, 'silent' AS cause FROM
silent;

-- customer_leaving
WITH line AS (SELECT customer_id, subscription_id, activated_on, contract, origin_operator, CASE WHEN ended_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE) THEN ended_on END AS ended_on, end_reason, destination_operator,
stated_reason FROM subscription WHERE activated_on < CAST(CAST('2026-07-01' AS DATE) AS DATE)), placed AS (SELECT
line.*, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY activated_on, subscription_id) AS nth, ROW_NUMBER() OVER
(PARTITION BY customer_id ORDER BY CASE WHEN ended_on IS NULL THEN 0 ELSE 1 END, ended_on DESC NULLS LAST, CASE
end_reason WHEN 'port_out' THEN 0 WHEN 'non_payment' THEN 1 ELSE 2 END, subscription_id) AS back FROM line), life AS
(SELECT begun.customer_id, begun.activated_on AS first_on, begun.contract, begun.origin_operator, final.ended_on AS
left_on, final.end_reason, final.destination_operator, final.stated_reason, (CAST(COALESCE(final.ended_on,
CAST(CAST('2026-07-01' AS DATE) AS DATE)) AS DATE) - CAST(begun.activated_on AS DATE)) AS days FROM placed AS begun
INNER JOIN placed AS final ON final.customer_id = begun.customer_id AND final.back = 1 WHERE begun.nth = 1) SELECT
life.customer_id, customer.kind, COALESCE(life.contract, 'other') AS contract, life.first_on, life.left_on, CASE WHEN
NOT life.left_on IS NULL THEN life.end_reason END AS cause, CASE WHEN NOT life.left_on IS NULL THEN
life.destination_operator END AS destination, CASE WHEN NOT life.left_on IS NULL THEN life.stated_reason END AS
reason, life.origin_operator AS origin, CASE WHEN life.days < 183 THEN 'under 6 months' WHEN life.days < 365 THEN
'6-11 months' WHEN life.days < 1096 THEN '1-2 years' WHEN life.days < 2922 THEN '3-7 years' ELSE '8 years or more' END
AS tenure_band FROM life INNER JOIN customer ON customer.customer_id = life.customer_id;

-- customer_month_margin
WITH span AS (SELECT month, ROW_NUMBER() OVER (ORDER BY month DESC NULLS LAST) AS back FROM (SELECT DISTINCT month
FROM bill WHERE issued_on < CAST(CAST('2026-07-01' AS DATE) AS DATE)) AS known), billed AS (SELECT customer_id, month,
SUM(CAST(amount AS DECIMAL(18, 4))) AS amount FROM bill WHERE issued_on < CAST(CAST('2026-07-01' AS DATE) AS DATE)
GROUP BY customer_id, month), added AS (SELECT holding.customer_id, span.month, SUM(CAST(product.monthly_fee AS
DECIMAL(18, 4))) AS fee, SUM(CAST(product.monthly_fee AS DECIMAL(18, 4)) * CAST(product.margin AS DECIMAL(10, 8))) AS
gain FROM holding INNER JOIN product ON product.product_id = holding.product_id AND NOT product.margin IS NULL INNER
JOIN span ON holding.from_on < span.month + INTERVAL '1 MONTH' AND (holding.to_on IS NULL OR holding.to_on >=
span.month) WHERE holding.from_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) AND span.back <= CAST(30 AS INT) GROUP BY
holding.customer_id, span.month), brought AS (SELECT customer.customer_id, CAST(30 AS INT) + 1 - span.back AS nth,
CAST(CASE WHEN billed.amount IS NULL THEN 0 ELSE billed.amount - COALESCE(added.fee, 0) END AS DOUBLE PRECISION) AS
bill, CAST(CASE WHEN billed.amount IS NULL THEN 0 ELSE COALESCE(added.gain, 0) END AS DOUBLE PRECISION) AS addon FROM
customer INNER JOIN span ON span.month >= customer.joined_on AND span.back <= CAST(30 AS INT) LEFT JOIN billed ON
billed.customer_id = customer.customer_id AND billed.month = span.month LEFT JOIN added ON added.customer_id =
customer.customer_id AND added.month = span.month) SELECT customer_id, nth, bill, addon, CAST(30 AS DOUBLE PRECISION)
* bill + addon AS margin FROM brought;

-- customer_month_value
WITH known AS (SELECT customer_id, month, SUM(CAST(amount AS DECIMAL(18, 4))) AS amount FROM bill WHERE issued_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE) GROUP BY customer_id, month), delivered AS (SELECT month, MAX(month) OVER ()
AS newest FROM (SELECT DISTINCT month FROM known) AS billed), ran AS (SELECT DISTINCT subscription.customer_id,
delivered.month FROM subscription INNER JOIN delivered ON subscription.activated_on < delivered.month + INTERVAL '1
MONTH' AND (subscription.ended_on IS NULL OR subscription.ended_on >= delivered.month) WHERE subscription.activated_on
< CAST(CAST('2026-07-01' AS DATE) AS DATE)) SELECT customer.customer_id, delivered.month, CAST(COALESCE(known.amount,
0) AS DOUBLE PRECISION) AS value FROM customer INNER JOIN delivered ON delivered.month >= customer.joined_on LEFT JOIN
line_life ON line_life.customer_id = customer.customer_id LEFT JOIN known ON known.customer_id = customer.customer_id
AND known.month = delivered.month LEFT JOIN ran ON ran.customer_id = customer.customer_id AND ran.month =
delivered.month WHERE (line_life.customer_id IS NULL OR NOT ran.month IS NULL OR NOT known.month IS NULL) AND
(line_life.left_on IS NULL OR (line_life.left_on >= delivered.month + INTERVAL '1 MONTH' AND delivered.month <
delivered.newest));

-- customer_peer
WITH held AS (SELECT customer_id, service FROM service_spell WHERE to_on IS NULL OR to_on >= CAST(CAST('2026-07-01' AS
DATE) AS DATE)), line AS (SELECT customer_id, MAX(CASE WHEN service = 'broadband' THEN '+broadband' ELSE '' END) ||
MAX(CASE WHEN service = 'fixed' THEN '+fixed' ELSE '' END) || MAX(CASE WHEN service = 'iptv' THEN '+iptv' ELSE '' END)
|| MAX(CASE WHEN service = 'mobile' THEN '+mobile' ELSE '' END) AS services FROM held GROUP BY customer_id), used AS
(SELECT life.customer_id, life.tenure_months, COALESCE(recent_usage.call_min, 0) AS call_min,
COALESCE(recent_usage.data_mb, 0) AS data_mb FROM life LEFT JOIN recent_usage ON recent_usage.customer_id =
life.customer_id WHERE 'it''s' = '' OR life.province = 'it''s'), placed AS (SELECT used.*, COUNT(*) OVER (PARTITION BY
call_min > 0) AS callers, COUNT(*) OVER (PARTITION BY call_min > 0 ORDER BY call_min) AS call_place, COUNT(*) OVER
(PARTITION BY data_mb > 0) AS surfers, COUNT(*) OVER (PARTITION BY data_mb > 0 ORDER BY data_mb) AS data_place FROM
used) SELECT placed.customer_id, placed.call_min, placed.data_mb, COALESCE(NULLIF(SUBSTRING(line.services FROM 2),
''), 'none') AS line_services, CASE WHEN placed.call_min <= 0 THEN 'no call' WHEN 3 * placed.call_place <=
placed.callers THEN 'little call' WHEN 3 * placed.call_place < 2 * placed.callers THEN 'some call' ELSE 'much call'
END AS call_band, CASE WHEN placed.data_mb <= 0 THEN 'no data' WHEN 3 * placed.data_place <= placed.surfers THEN
'little data' WHEN 3 * placed.data_place < 2 * placed.surfers THEN 'some data' ELSE 'much data' END AS data_band, CASE
WHEN placed.tenure_months <= 5 THEN 'under 6 months' WHEN placed.tenure_months <= 11 THEN '6-11 months' WHEN
placed.tenure_months <= 35 THEN '1-2 years' WHEN placed.tenure_months <= 95 THEN '3-7 years' ELSE '8 years or more'
END AS tenure_band FROM placed LEFT JOIN line ON line.customer_id = placed.customer_id;

-- customer_promise
WITH judged AS (SELECT customer_id, CASE WHEN event = 'hotline' THEN CASE WHEN CAST(seconds AS DOUBLE PRECISION) <=
CAST(30 AS DOUBLE PRECISION) THEN 1 ELSE 0 END WHEN closed_at <= opened_at + INTERVAL '1 SECOND' * CAST(30 AS DOUBLE
PRECISION) THEN 1 ELSE 0 END AS in_time FROM service_case WHERE event = 'it''s' AND ((event = 'hotline' AND NOT
seconds IS NULL) OR (event <> 'hotline' AND opened_at + INTERVAL '1 SECOND' * CAST(30 AS DOUBLE PRECISION) <
CAST(CAST('2026-07-01' AS DATE) AS DATE)))) SELECT customer_id, COUNT(*) AS judged, SUM(in_time) AS kept FROM judged
GROUP BY customer_id;

-- customer_service
WITH recorded AS (SELECT CAST(MIN(contacted_at) AS DATE) AS since FROM contact) SELECT customer.customer_id,
CAST(LEAST(CAST(30 AS INT), (CAST(CAST('2026-07-01' AS DATE) AS DATE) - CAST(GREATEST(customer.joined_on,
recorded.since) AS DATE))) AS DOUBLE PRECISION) AS days_known, COUNT(*) FILTER(WHERE service_case.event = 'hotline')
AS hotline, COUNT(*) FILTER(WHERE service_case.event = 'app') AS app, COUNT(*) FILTER(WHERE service_case.event =
'web') AS web, COUNT(*) FILTER(WHERE service_case.event = 'sms') AS sms, COUNT(*) FILTER(WHERE service_case.event =
'shop') AS shop, COUNT(*) FILTER(WHERE service_case.event = 'visit') AS visit, COUNT(*) FILTER(WHERE
service_case.event = 'outbound_call') AS outbound_call, COUNT(*) FILTER(WHERE service_case.event = 'complaint') AS
complaint, COUNT(*) FILTER(WHERE service_case.event = 'fault') AS fault, COUNT(*) FILTER(WHERE service_case.event =
'installation') AS installation, CAST(SUM(service_case.seconds) FILTER(WHERE service_case.event = 'hotline') AS DOUBLE
PRECISION) / CAST(NULLIF(COUNT(service_case.seconds) FILTER(WHERE service_case.event = 'hotline'), 0) AS DOUBLE
PRECISION) AS wait_s, CAST(SUM(service_case.seconds) FILTER(WHERE service_case.event = 'complaint') AS DOUBLE
PRECISION) / 3600 / CAST(NULLIF(COUNT(service_case.seconds) FILTER(WHERE service_case.event = 'complaint'), 0) AS
DOUBLE PRECISION) AS complaint_h, CAST(SUM(service_case.seconds) FILTER(WHERE service_case.event = 'fault') AS DOUBLE
PRECISION) / 3600 / CAST(NULLIF(COUNT(service_case.seconds) FILTER(WHERE service_case.event = 'fault'), 0) AS DOUBLE
PRECISION) AS fault_h, CAST(SUM(service_case.seconds) FILTER(WHERE service_case.event = 'installation') AS DOUBLE
PRECISION) / 3600 / CAST(NULLIF(COUNT(service_case.seconds) FILTER(WHERE service_case.event = 'installation'), 0) AS
DOUBLE PRECISION) AS installation_h, COUNT(*) FILTER(WHERE service_case.overdue = 1) AS overdue FROM customer CROSS
JOIN recorded LEFT JOIN service_case ON service_case.customer_id = customer.customer_id WHERE customer.joined_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE) GROUP BY customer.customer_id, customer.joined_on, recorded.since;

-- customer_view
WITH household AS (SELECT household_id, COUNT(*) AS members FROM customer WHERE NOT household_id IS NULL AND joined_on
< CAST(CAST('2026-07-01' AS DATE) AS DATE) GROUP BY household_id), belonging AS (SELECT group_id, COUNT(*) AS members
FROM customer WHERE NOT group_id IS NULL AND joined_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) GROUP BY group_id),
gone AS (SELECT customer_id, MAX(ended_on) AS left_on FROM subscription WHERE activated_on < CAST(CAST('2026-07-01' AS
DATE) AS DATE) AND ended_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) GROUP BY customer_id), used AS (SELECT
customer_id, MAX(month) AS month FROM usage_month WHERE month < CAST(DATE_TRUNC('MONTH', CAST(CAST('2026-07-01' AS
DATE) AS DATE)) AS DATE) GROUP BY customer_id), billed AS (SELECT customer_id, month, amount, ROW_NUMBER() OVER
(PARTITION BY customer_id ORDER BY issued_on DESC NULLS LAST, bill_id DESC NULLS LAST) AS back FROM bill WHERE
issued_on < CAST(CAST('2026-07-01' AS DATE) AS DATE)), paid AS (SELECT customer_id, paid_on, amount, ROW_NUMBER() OVER
(PARTITION BY customer_id ORDER BY paid_on DESC NULLS LAST, payment_id DESC NULLS LAST) AS back FROM payment WHERE
paid_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) AND amount >= 0), touch AS (SELECT customer_id, contacted_at,
channel, topic, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY contacted_at DESC NULLS LAST, contact_id DESC
NULLS LAST) AS back FROM contact WHERE contacted_at < CAST(CAST('2026-07-01' AS DATE) AS DATE)), cased AS (SELECT
customer_id, opened_at, kind, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY opened_at DESC NULLS LAST,
ticket_id DESC NULLS LAST) AS back FROM ticket WHERE opened_at < CAST(CAST('2026-07-01' AS DATE) AS DATE)), asked AS
(SELECT customer_id, answered_on, wave, request, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY answered_on DESC
NULLS LAST, response_id DESC NULLS LAST) AS back FROM survey_response WHERE answered_on < CAST(CAST('2026-07-01' AS
DATE) AS DATE) AND NOT customer_id IS NULL), reached AS (SELECT assigned_member.customer_id,
assigned_member.assigned_on, campaign.name, ROW_NUMBER() OVER (PARTITION BY assigned_member.customer_id ORDER BY
assigned_member.assigned_on DESC NULLS LAST, campaign.campaign_id DESC NULLS LAST) AS back FROM assigned_member INNER
JOIN campaign ON campaign.campaign_id = assigned_member.campaign_id WHERE assigned_member.contacted AND
assigned_member.assigned_on < CAST(CAST('2026-07-01' AS DATE) AS DATE)), taken AS (SELECT holding.customer_id,
holding.from_on, COALESCE(product.name, holding.product_id) AS name, ROW_NUMBER() OVER (PARTITION BY
holding.customer_id ORDER BY holding.from_on DESC NULLS LAST, holding.product_id DESC NULLS LAST) AS back FROM holding
LEFT JOIN product ON product.product_id = holding.product_id WHERE holding.from_on < CAST(CAST('2026-07-01' AS DATE)
AS DATE)), lead_on AS (SELECT customer_id, opened_on, stage, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY
opened_on DESC NULLS LAST, opportunity_id DESC NULLS LAST) AS back FROM opportunity WHERE opened_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE)) SELECT customer.customer_id, customer.kind, customer.province,
customer.city, customer.gender, CAST(customer.birth_year AS DOUBLE PRECISION) AS birth_year,
COALESCE(customer.is_staff, FALSE) AS is_staff, customer.joined_on, CASE WHEN life.customer_id IS NULL THEN 'left'
ELSE 'active' END AS state, CASE WHEN life.customer_id IS NULL THEN gone.left_on END AS left_on, life.tenure_months,
life.lines, line.activated_on AS line_since, line.service, line.contract, line.tariff, line.monthly_fee AS tariff_fee,
activity.recency_days, used.month AS last_usage_month, recent_usage.call_min AS call_min_month, recent_usage.data_mb
AS data_mb_month, billed.month AS last_bill_month, billed.amount AS last_bill_amount, bills.monetary,
bills.billed_12m, arrears.arrears, arrears.arrears_days, paid.paid_on AS last_paid_on, paid.amount AS
last_paid_amount, payments.paid_90d, service.contacts_90d, service.hotline_90d, touch.contacted_at AS last_contact_at,
touch.channel AS last_contact_channel, touch.topic AS last_contact_topic, service.complaints_180d,
service.faults_180d, service.open_tickets, cased.opened_at AS last_ticket_at, cased.kind AS last_ticket_kind,
asked.answered_on AS last_answered_on, asked.wave AS last_wave, asked.request AS last_request,
campaigns.campaigns_180d, reached.assigned_on AS last_campaign_on, reached.name AS last_campaign,
holdings.products_held, holdings.product_fee, taken.from_on AS last_product_on, taken.name AS last_product,
lead_on.opened_on AS last_lead_on, lead_on.stage AS last_lead_stage, customer.household_id, household.members AS
household_members, customer.group_id, belonging.members AS group_members FROM customer LEFT JOIN household ON
household.household_id = customer.household_id LEFT JOIN belonging ON belonging.group_id = customer.group_id LEFT JOIN
life ON life.customer_id = customer.customer_id LEFT JOIN gone ON gone.customer_id = customer.customer_id LEFT JOIN
line_tariff AS line ON line.customer_id = customer.customer_id AND line.nth = 1 LEFT JOIN activity ON
activity.customer_id = customer.customer_id LEFT JOIN used ON used.customer_id = customer.customer_id LEFT JOIN
recent_usage ON recent_usage.customer_id = customer.customer_id LEFT JOIN bills ON bills.customer_id =
customer.customer_id LEFT JOIN billed ON billed.customer_id = customer.customer_id AND billed.back = 1 LEFT JOIN
arrears ON arrears.customer_id = customer.customer_id LEFT JOIN payments ON payments.customer_id =
customer.customer_id LEFT JOIN paid ON paid.customer_id = customer.customer_id AND paid.back = 1 LEFT JOIN service ON
service.customer_id = customer.customer_id LEFT JOIN touch ON touch.customer_id = customer.customer_id AND touch.back
= 1 LEFT JOIN cased ON cased.customer_id = customer.customer_id AND cased.back = 1 LEFT JOIN asked ON
asked.customer_id = customer.customer_id AND asked.back = 1 LEFT JOIN campaigns ON campaigns.customer_id =
customer.customer_id LEFT JOIN reached ON reached.customer_id = customer.customer_id AND reached.back = 1 LEFT JOIN
holdings ON holdings.customer_id = customer.customer_id LEFT JOIN taken ON taken.customer_id = customer.customer_id
AND taken.back = 1 LEFT JOIN lead_on ON lead_on.customer_id = customer.customer_id AND lead_on.back = 1 WHERE
customer.joined_on < CAST(CAST('2026-07-01' AS DATE) AS DATE);

-- line_fraud
WITH event AS (SELECT subscription_id, started_at, kind, direction, zone, counterpart_key, duration_s, charge,
CAST(FLOOR(CAST((CAST(CAST('2026-07-01' AS DATE) AS DATE) - CAST(started_at AS DATE)) - 1 AS DOUBLE PRECISION) /
CAST(30 AS DOUBLE PRECISION)) AS INT) AS nth FROM detail_record WHERE started_at < CAST(CAST('2026-07-01' AS DATE) AS
DATE) AND started_at >= CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL '1 DAY' * CAST(30 AS INT) * CAST(30 AS
INT)), used AS (SELECT subscription_id, nth, MIN(started_at) AS first_at, CAST(COUNT(*) AS DOUBLE PRECISION) AS
events, CAST(COUNT(*) FILTER(WHERE zone = 'roaming') AS DOUBLE PRECISION) AS roaming, CAST(COUNT(*) FILTER(WHERE kind
= 'call') AS DOUBLE PRECISION) AS both_ways, CAST(SUM(CAST(charge AS DECIMAL(18, 4))) AS DOUBLE PRECISION) AS charge
FROM event GROUP BY subscription_id, nth), by_day AS (SELECT subscription_id, nth, CAST(started_at AS DATE) AS day_on,
COUNT(*) AS calls, SUM(CAST(duration_s AS DECIMAL(18, 3))) AS call_s, SUM(CAST(CASE WHEN zone = 'international' THEN
duration_s END AS DECIMAL(18, 3))) AS abroad_s, SUM(CAST(CASE WHEN charge > 0 AND charge * 60 >= duration_s * CAST(30
AS DOUBLE PRECISION) THEN duration_s END AS DECIMAL(18, 3))) AS premium_s FROM event WHERE kind = 'call' AND direction
= 'out' GROUP BY subscription_id, nth, CAST(started_at AS DATE)), called AS (SELECT subscription_id, nth,
CAST(SUM(calls) AS DOUBLE PRECISION) AS calls, CAST(MAX(calls) AS DOUBLE PRECISION) AS calls_day, CAST(SUM(call_s) AS
DOUBLE PRECISION) AS call_s, CAST(SUM(abroad_s) AS DOUBLE PRECISION) / 60 AS abroad_min, CAST(MAX(abroad_s) AS DOUBLE
PRECISION) / 60 AS abroad_min_day, CAST(MAX(premium_s) AS DOUBLE PRECISION) / 60 AS premium_min_day FROM by_day GROUP
BY subscription_id, nth), span AS (SELECT given.nth, CAST(CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL '1 DAY'
* CAST(30 AS INT) * given.nth AS DATE) AS window_to FROM (SELECT DISTINCT nth FROM used) AS given CROSS JOIN (SELECT
CAST(MIN(first_at) AS DATE) AS first_on FROM used) AS known WHERE CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL
'1 DAY' * CAST(30 AS INT) * (given.nth + 1) >= known.first_on), circle AS (SELECT subscription_id, nth,
CAST(COUNT(counterpart_key) AS DOUBLE PRECISION) AS numbers FROM (SELECT DISTINCT subscription_id, nth,
counterpart_key FROM event WHERE kind = 'call' AND direction = 'out') AS other GROUP BY subscription_id, nth),
under_way AS (SELECT subscription_id, nth, begin_s, MAX(begin_s + duration_s) OVER (PARTITION BY subscription_id ORDER
BY begin_s ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS until_s FROM (SELECT subscription_id, nth, duration_s,
CAST(CAST(EXTRACT(epoch FROM DATE_TRUNC('SECOND', CAST(started_at AS TIMESTAMP)) - DATE_TRUNC('SECOND',
CAST(CAST(CAST('2026-07-01' AS DATE) AS DATE) AS TIMESTAMP))) AS BIGINT) AS DOUBLE PRECISION) AS begin_s FROM event
WHERE kind = 'call' AND direction = 'out' AND duration_s > 0) AS call), overlap AS (SELECT subscription_id, nth,
CAST(COUNT(*) AS DOUBLE PRECISION) AS overlapping FROM under_way WHERE until_s > begin_s GROUP BY subscription_id,
nth), paid AS (SELECT payment.customer_id, span.nth, CAST(COUNT(*) FILTER(WHERE payment.amount > 0 AND payment.bill_id
IS NULL) AS DOUBLE PRECISION) AS topups, CAST(COUNT(*) FILTER(WHERE payment.amount < 0) AS DOUBLE PRECISION) AS
refunds, CAST(-SUM(CASE WHEN payment.amount < 0 THEN CAST(payment.amount AS DECIMAL(18, 4)) ELSE 0 END) AS DOUBLE
PRECISION) AS refunded FROM payment INNER JOIN span ON payment.paid_on < span.window_to AND payment.paid_on >=
span.window_to - INTERVAL '1 DAY' * CAST(30 AS INT) GROUP BY payment.customer_id, span.nth), first_bill AS (SELECT
placed.customer_id, placed.bill_id, placed.due_on, placed.amount FROM (SELECT customer_id, bill_id, month, due_on,
CAST(amount AS DECIMAL(18, 4)) AS amount, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY month, issued_on,
bill_id) AS place FROM bill) AS placed INNER JOIN customer ON customer.customer_id = placed.customer_id WHERE
placed.place = 1 AND placed.month <= customer.joined_on + INTERVAL '1 MONTH' AND (SELECT COUNT(bill_id) FROM payment)
> 0), open_bill AS (SELECT first_bill.customer_id, span.nth, CAST(GREATEST(CASE WHEN MIN(first_bill.due_on) <
MIN(span.window_to) THEN MIN(first_bill.amount) - COALESCE(SUM(CAST(payment.amount AS DECIMAL(18, 4))), 0) ELSE 0 END,
0) AS DOUBLE PRECISION) AS first_bill_open FROM first_bill CROSS JOIN span LEFT JOIN payment ON payment.bill_id =
first_bill.bill_id AND payment.paid_on < span.window_to GROUP BY first_bill.customer_id, span.nth), line AS (SELECT
subscription.subscription_id, subscription.customer_id, subscription.contract, span.nth, span.window_to,
CAST((CAST(span.window_to AS DATE) - CAST(subscription.activated_on AS DATE)) AS DOUBLE PRECISION) AS age_days,
CAST(COUNT(*) OVER (PARTITION BY subscription.customer_id, span.nth) AS DOUBLE PRECISION) AS lines FROM subscription
INNER JOIN span ON subscription.activated_on < span.window_to AND (subscription.ended_on IS NULL OR
subscription.ended_on >= span.window_to - INTERVAL '1 DAY' * CAST(30 AS INT)) WHERE subscription.service IN ('mobile',
'fixed')) SELECT line.subscription_id, line.customer_id, customer.kind, line.contract, line.window_to, CAST(30 AS
DOUBLE PRECISION) AS window_days, line.age_days, COALESCE(called.calls, 0) AS calls, COALESCE(circle.numbers, 0) AS
numbers, CAST(called.calls AS DOUBLE PRECISION) / NULLIF(circle.numbers, 0) AS calls_per_number,
CAST(COALESCE(called.calls, 0) AS DOUBLE PRECISION) / NULLIF(used.both_ways, 0) AS share_out, CAST(called.call_s AS
DOUBLE PRECISION) / NULLIF(called.calls, 0) AS call_s, COALESCE(called.calls_day, 0) AS calls_day,
COALESCE(overlap.overlapping, 0) AS overlapping, COALESCE(called.abroad_min, 0) AS abroad_min,
COALESCE(called.abroad_min_day, 0) AS abroad_min_day, COALESCE(called.premium_min_day, 0) AS premium_min_day,
CAST(used.roaming AS DOUBLE PRECISION) / NULLIF(used.events, 0) AS roaming_share, COALESCE(used.charge, 0) AS charge,
open_bill.first_bill_open, COALESCE(paid.topups, 0) AS topups, COALESCE(paid.refunds, 0) AS refunds,
COALESCE(paid.refunded, 0) AS refunded, GREATEST(COALESCE(used.charge, 0), 0) + CAST((COALESCE(paid.refunded, 0) +
COALESCE(open_bill.first_bill_open, 0)) AS DOUBLE PRECISION) / line.lines AS exposed FROM line INNER JOIN customer ON
customer.customer_id = line.customer_id LEFT JOIN used ON used.subscription_id = line.subscription_id AND used.nth =
line.nth LEFT JOIN called ON called.subscription_id = line.subscription_id AND called.nth = line.nth LEFT JOIN circle
ON circle.subscription_id = line.subscription_id AND circle.nth = line.nth LEFT JOIN overlap ON
overlap.subscription_id = line.subscription_id AND overlap.nth = line.nth LEFT JOIN paid ON paid.customer_id =
line.customer_id AND paid.nth = line.nth LEFT JOIN open_bill ON open_bill.customer_id = line.customer_id AND
open_bill.nth = line.nth;

-- line_margin
WITH theirs AS (SELECT customer_id FROM customer WHERE 'it''s' = '' OR province = 'it''s'), known AS (SELECT
bill.customer_id, bill.month, SUM(CAST(bill.amount AS DECIMAL(18, 4))) AS amount FROM bill INNER JOIN theirs ON
theirs.customer_id = bill.customer_id WHERE bill.month < CAST(DATE_TRUNC('MONTH', CAST(CAST('2026-07-01' AS DATE) AS
DATE)) AS DATE) AND bill.issued_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) GROUP BY bill.customer_id, bill.month),
newest AS (SELECT MAX(month) AS month FROM known), span AS (SELECT delivered.month, CAST(delivered.month + INTERVAL '1
MONTH' AS DATE) AS until, ROW_NUMBER() OVER (ORDER BY delivered.month DESC NULLS LAST) AS back FROM (SELECT DISTINCT
month FROM known) AS delivered CROSS JOIN newest WHERE delivered.month >= newest.month - INTERVAL '1 MONTH' * (CAST(30
AS INT) + 1) AND newest.month >= CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL '1 MONTH' * (CAST(30 AS INT) +
1)), payer AS (SELECT theirs.customer_id, CASE WHEN ahead.customer_id IS NULL THEN 1 ELSE 0 END AS behind FROM theirs
LEFT JOIN (SELECT known.customer_id FROM known INNER JOIN newest ON newest.month = known.month) AS ahead ON
ahead.customer_id = theirs.customer_id), counted AS (SELECT given.behind, span.month, span.until FROM (SELECT DISTINCT
behind FROM payer) AS given INNER JOIN span ON span.back > given.behind AND span.back <= given.behind + CAST(30 AS
INT)), length AS (SELECT behind, AVG(CAST((CAST(until AS DATE) - CAST(month AS DATE)) AS DOUBLE PRECISION)) AS days
FROM counted GROUP BY behind), line AS (SELECT subscription.subscription_id, subscription.customer_id,
subscription.service, subscription.activated_on, CASE WHEN subscription.ended_on < CAST(CAST('2026-07-01' AS DATE) AS
DATE) THEN subscription.ended_on END AS ended_on, CAST(subscription.ended_on + INTERVAL '1 DAY' AS DATE) AS gone_on,
payer.behind FROM subscription INNER JOIN payer ON payer.customer_id = subscription.customer_id WHERE
subscription.activated_on < CAST(CAST('2026-07-01' AS DATE) AS DATE)), ran AS (SELECT line.customer_id,
CAST(SUM(GREATEST((CAST(LEAST(line.gone_on, counted.until) AS DATE) - CAST(GREATEST(line.activated_on, counted.month)
AS DATE)), 0)) AS DOUBLE PRECISION) AS days FROM line INNER JOIN counted ON counted.behind = line.behind GROUP BY
line.customer_id), paid AS (SELECT known.customer_id, CAST(SUM(known.amount) AS DOUBLE PRECISION) AS amount FROM known
INNER JOIN payer ON payer.customer_id = known.customer_id INNER JOIN counted ON counted.behind = payer.behind AND
counted.month = known.month GROUP BY known.customer_id), own AS (SELECT line.*, CASE WHEN ran.days >= 30 AND
line.ended_on IS NULL THEN CAST(30 AS DOUBLE PRECISION) * (CAST(COALESCE(paid.amount, 0) AS DOUBLE PRECISION) /
ran.days * length.days) END AS margin FROM line LEFT JOIN ran ON ran.customer_id = line.customer_id LEFT JOIN length
ON length.behind = line.behind LEFT JOIN paid ON paid.customer_id = line.customer_id), mean_margin AS (SELECT service,
SUM(CAST(margin AS DECIMAL(28, 12))) AS margin, COUNT(margin) AS lines FROM own GROUP BY service), typical AS (SELECT
mean_margin.service, COALESCE(CAST(mean_margin.margin AS DOUBLE PRECISION) / CAST(NULLIF(mean_margin.lines, 0) AS
DOUBLE PRECISION), whole.margin) AS margin FROM mean_margin CROSS JOIN (SELECT CAST(SUM(margin) AS DOUBLE PRECISION) /
CAST(NULLIF(SUM(lines), 0) AS DOUBLE PRECISION) AS margin FROM mean_margin) AS whole) SELECT own.subscription_id,
own.customer_id, own.service, own.activated_on, own.ended_on, own.ended_on IS NULL AS running, CASE WHEN own.ended_on
IS NULL THEN COALESCE(own.margin, typical.margin) END AS margin FROM own INNER JOIN typical ON typical.service =
own.service WHERE EXISTS(SELECT month FROM span);

-- province_month
WITH billed AS (SELECT customer.province, bill.month, COUNT(DISTINCT bill.customer_id) AS customers,
SUM(CAST(bill.amount AS DECIMAL(18, 4))) AS amount FROM bill INNER JOIN customer ON customer.customer_id =
bill.customer_id WHERE customer.kind = 'it''s' AND bill.issued_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) GROUP BY
customer.province, bill.month) SELECT billed.province, billed.month, billed.customers, CAST(billed.amount AS DOUBLE
PRECISION) / CAST(billed.customers AS DOUBLE PRECISION) AS revenue, CAST(CASE WHEN campaign_province.province IS NULL
THEN 0 ELSE 1 END AS BIGINT) AS treated, CAST(CASE WHEN billed.month >= campaign.starts_on THEN 1 ELSE 0 END AS
BIGINT) AS after FROM billed INNER JOIN campaign ON billed.month <= campaign.ends_on LEFT JOIN campaign_province ON
campaign_province.campaign_id = campaign.campaign_id AND campaign_province.province = billed.province WHERE
campaign.campaign_id = 'it''s';

-- recent_usage
WITH recent AS (SELECT customer_id, month, CAST(call_min AS DECIMAL(18, 4)) AS call_min, CAST(data_mb AS DECIMAL(18,
4)) AS data_mb FROM usage_month WHERE month >= CAST(DATE_TRUNC('MONTH', CAST(CAST('2026-07-01' AS DATE) AS DATE)) AS
DATE) - INTERVAL '3 MONTH' AND month < CAST(DATE_TRUNC('MONTH', CAST(CAST('2026-07-01' AS DATE) AS DATE)) AS DATE)),
delivered AS (SELECT COUNT(DISTINCT month) AS months FROM recent) SELECT recent.customer_id, CAST(SUM(recent.call_min)
AS DOUBLE PRECISION) / CAST(MAX(delivered.months) AS DOUBLE PRECISION) AS call_min, CAST(SUM(recent.data_mb) AS DOUBLE
PRECISION) / CAST(MAX(delivered.months) AS DOUBLE PRECISION) AS data_mb FROM recent CROSS JOIN delivered GROUP BY
recent.customer_id;

-- service_held
SELECT customer_id, service, SUM(holds) > 0 AS held FROM (SELECT customer_id, service, CASE WHEN from_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE) THEN 1 ELSE 0 END AS holds FROM service_spell WHERE from_on >=
CAST(CAST('2026-07-01' AS DATE) AS DATE) OR to_on IS NULL OR to_on >= CAST(CAST('2026-07-01' AS DATE) AS DATE)) AS
spell GROUP BY customer_id, service;

-- service_kept
WITH seen AS (SELECT customer_id, service, from_on, CASE WHEN to_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) THEN
to_on END AS ended_on FROM service_spell) SELECT service, customer_id, from_on, CAST((CAST(COALESCE(ended_on,
CAST(CAST('2026-07-01' AS DATE) AS DATE)) AS DATE) - CAST(from_on AS DATE)) AS DOUBLE PRECISION) / CAST(30.4375 AS
DOUBLE PRECISION) AS months, NOT ended_on IS NULL AS ended FROM seen WHERE from_on >= GREATEST((SELECT MIN(ended_on)
FROM seen), CAST(CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL '24 MONTH' AS DATE));

-- service_offer
SELECT product.product_id AS service, product.name, product.monthly_fee AS fee, product.monthly_fee * product.margin
AS margin, kinds.kind FROM product CROSS JOIN (SELECT DISTINCT kind FROM customer) AS kinds WHERE NOT
product.monthly_fee IS NULL AND NOT product.margin IS NULL UNION ALL SELECT service, service AS name, fee, fee *
CAST(30 AS DOUBLE PRECISION) AS margin, kind FROM (SELECT tariff.service, customer.kind,
CAST(SUM(CAST(tariff.monthly_fee AS DECIMAL(18, 4))) AS DOUBLE PRECISION) / CAST(COUNT(*) AS DOUBLE PRECISION) AS fee
FROM subscription INNER JOIN tariff ON tariff.tariff_id = subscription.tariff_id INNER JOIN customer ON
customer.customer_id = subscription.customer_id WHERE subscription.activated_on < CAST(CAST('2026-07-01' AS DATE) AS
DATE) AND (subscription.ended_on IS NULL OR subscription.ended_on >= CAST(CAST('2026-07-01' AS DATE) AS DATE)) GROUP
BY tariff.service, customer.kind) AS line;

-- service_use
WITH event AS (SELECT detail_record.customer_id, detail_record.kind, CAST(detail_record.started_at AS DATE) AS day_on,
COUNT(*) AS events, SUM(CAST(detail_record.duration_s AS DECIMAL(18, 3))) AS duration_s,
SUM(CAST(detail_record.volume_mb AS DECIMAL(18, 6))) AS volume_mb FROM detail_record INNER JOIN customer ON
customer.customer_id = detail_record.customer_id WHERE detail_record.started_at >= CAST(CAST('2026-07-01' AS DATE) AS
DATE) - INTERVAL '1 DAY' * CAST(30 AS INT) AND detail_record.started_at < CAST(CAST('2026-07-01' AS DATE) AS DATE) AND
('it''s' = '' OR customer.province = 'it''s') GROUP BY detail_record.customer_id, detail_record.kind,
CAST(detail_record.started_at AS DATE)) SELECT kind AS service, customer_id, CAST((CAST(CAST('2026-07-01' AS DATE) AS
DATE) - CAST(MAX(day_on) AS DATE)) AS DOUBLE PRECISION) AS recency_days, CAST(COUNT(*) AS DOUBLE PRECISION) AS
frequency, ROUND(CAST(CASE WHEN kind = 'call' THEN CAST(SUM(duration_s) AS DOUBLE PRECISION) / 60 WHEN kind = 'data'
THEN CAST(SUM(volume_mb) AS DOUBLE PRECISION) ELSE CAST(SUM(events) AS DOUBLE PRECISION) END AS DECIMAL), 6) AS amount
FROM event GROUP BY customer_id, kind;

-- survey_outcome
WITH asked AS (SELECT response_id, customer_id, answered_on, CAST(answered_on + INTERVAL '1 DAY' * CAST(30 AS INT) AS
DATE) AS window_end, CAST(DATE_TRUNC('MONTH', answered_on) AS DATE) AS month, CAST(FLOOR(CAST(30 AS DOUBLE PRECISION)
/ 30) - 1 AS INT) AS months FROM survey_response WHERE wave = 'it''s' AND NOT customer_id IS NULL AND NOT answered_on
IS NULL), money AS (SELECT asked.response_id, SUM(CAST(bill.amount AS DECIMAL(18, 4))) FILTER(WHERE bill.month <
asked.month) AS before, SUM(CAST(bill.amount AS DECIMAL(18, 4))) FILTER(WHERE bill.month > asked.month) AS after FROM
asked INNER JOIN bill ON bill.customer_id = asked.customer_id AND bill.month >= asked.month - INTERVAL '1 MONTH' *
asked.months AND bill.month <= asked.month + INTERVAL '1 MONTH' * asked.months GROUP BY asked.response_id), delivered
AS (SELECT start.month, COUNT(*) FILTER(WHERE billed_month.month < start.month) AS months_before, COUNT(*)
FILTER(WHERE billed_month.month > start.month) AS months_after FROM (SELECT DISTINCT month, months FROM asked) AS
start INNER JOIN billed_month ON billed_month.month >= start.month - INTERVAL '1 MONTH' * start.months AND
billed_month.month <= start.month + INTERVAL '1 MONTH' * start.months GROUP BY start.month) SELECT asked.response_id,
asked.customer_id, asked.answered_on, asked.window_end, line_life.left_on, CAST(CASE WHEN line_life.left_on <
asked.window_end THEN 1 WHEN NOT line_life.customer_id IS NULL THEN 0 END AS INT) AS churned,
CAST(COALESCE(money.before, 0) AS DOUBLE PRECISION) / CAST(NULLIF(delivered.months_before, 0) AS DOUBLE PRECISION) AS
revenue_before, CAST(COALESCE(money.after, 0) AS DOUBLE PRECISION) / CAST(NULLIF(delivered.months_after, 0) AS DOUBLE
PRECISION) AS revenue_after, CAST((CAST(asked.answered_on AS DATE) - CAST(line_life.first_on AS DATE)) AS DOUBLE
PRECISION) / CAST(30.44 AS DOUBLE PRECISION) AS tenure_months, asked.window_end <= CAST(CAST('2026-07-01' AS DATE) AS
DATE) AND asked.month + INTERVAL '1 MONTH' * (asked.months + 1) <= CAST(CAST('2026-07-01' AS DATE) AS DATE) AS
complete FROM asked LEFT JOIN line_life ON line_life.customer_id = asked.customer_id LEFT JOIN money ON
money.response_id = asked.response_id LEFT JOIN delivered ON delivered.month = asked.month;

-- table_month
WITH dated AS (SELECT 'detail_record' AS fact, day_on AS day, day_on AS seen_on, customer_id, events AS records FROM
customer_day UNION ALL SELECT 'usage_month', month, CAST(month + INTERVAL '1 MONTH' - INTERVAL '1 DAY' AS DATE),
customer_id, 1 FROM usage_month UNION ALL SELECT 'bill', month, issued_on, customer_id, 1 FROM bill UNION ALL SELECT
'payment', paid_on, paid_on, customer_id, 1 FROM payment UNION ALL SELECT 'collection_action', acted_on, acted_on,
customer_id, 1 FROM collection_action UNION ALL SELECT 'fraud_case', opened_on, opened_on, customer_id, 1 FROM
fraud_case UNION ALL SELECT 'contact', CAST(contacted_at AS DATE), CAST(contacted_at AS DATE), customer_id, 1 FROM
contact UNION ALL SELECT 'ticket', CAST(opened_at AS DATE), CAST(opened_at AS DATE), customer_id, 1 FROM ticket UNION
ALL SELECT 'survey_response', answered_on, answered_on, customer_id, 1 FROM survey_response UNION ALL SELECT
'survey_invitation', invited_on, invited_on, customer_id, 1 FROM survey_invitation UNION ALL SELECT 'campaign_member',
assigned_on, assigned_on, customer_id, 1 FROM assigned_member UNION ALL SELECT 'opportunity', opened_on, opened_on,
customer_id, 1 FROM opportunity UNION ALL SELECT 'market', month, CAST(month + INTERVAL '1 MONTH' - INTERVAL '1 DAY'
AS DATE), NULL, 1 FROM market UNION ALL SELECT 'marketing_cost', month, CAST(month + INTERVAL '1 MONTH' - INTERVAL '1
DAY' AS DATE), NULL, 1 FROM marketing_cost) SELECT fact, CAST(DATE_TRUNC('MONTH', day) AS DATE) AS month,
CAST(SUM(records) AS DOUBLE PRECISION) AS records, CAST(COUNT(DISTINCT customer_id) AS DOUBLE PRECISION) AS customers,
MAX(seen_on) AS last_on, CAST(SUM(DISTINCT POWER(2, EXTRACT(DAY FROM day) - 1)) AS DOUBLE PRECISION) AS day_bits FROM
dated WHERE seen_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) GROUP BY fact, CAST(DATE_TRUNC('MONTH', day) AS DATE);

-- week_profile
WITH event AS (SELECT asked."group", CAST((CAST(detail_record.started_at AS DATE) - CAST('1990-01-01' AS DATE)) AS
DOUBLE PRECISION) AS nth, EXTRACT(HOUR FROM detail_record.started_at) AS hour FROM detail_record INNER JOIN asked ON
asked.customer_id = detail_record.customer_id WHERE detail_record.started_at >= CAST(CAST('2026-07-01' AS DATE) AS
DATE) - INTERVAL '1 DAY' * CAST(30 AS INT) AND detail_record.started_at < CAST(CAST('2026-07-01' AS DATE) AS DATE)),
counted AS (SELECT "group", CAST(nth - 7 * FLOOR(CAST(nth AS DOUBLE PRECISION) / 7) AS INT) AS weekday, CAST(hour AS
INT) AS hour, COUNT(*) AS events FROM event GROUP BY "group", CAST(nth - 7 * FLOOR(CAST(nth AS DOUBLE PRECISION) / 7)
AS INT), CAST(hour AS INT)) SELECT "group", weekday, hour, events, CAST(events AS DOUBLE PRECISION) / CAST(SUM(events)
OVER (PARTITION BY "group") AS DOUBLE PRECISION) AS share FROM counted;

-- assigned_member
SELECT campaign_member.campaign_id, campaign_member.customer_id, campaign_member.arm, campaign_member.contacted,
campaign.assignment, CAST(COALESCE(campaign_member.assigned_on, campaign.starts_on) AS DATE) AS assigned_on FROM
campaign_member INNER JOIN campaign ON campaign.campaign_id = campaign_member.campaign_id;

-- billed_month
SELECT DISTINCT month FROM bill;

-- line_life
SELECT customer_id, MIN(activated_on) AS first_on, CASE WHEN COUNT(*) = COUNT(ended_on) FILTER(WHERE ended_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE)) THEN MAX(ended_on) END AS left_on FROM subscription WHERE activated_on <
CAST(CAST('2026-07-01' AS DATE) AS DATE) GROUP BY customer_id;

-- line_tariff
SELECT subscription.subscription_id, subscription.customer_id, subscription.service, subscription.contract,
subscription.activated_on, COALESCE(tariff.name, subscription.tariff_id) AS tariff, tariff.monthly_fee, ROW_NUMBER()
OVER (PARTITION BY subscription.customer_id ORDER BY CASE WHEN subscription.service = 'mobile' THEN 0 ELSE 1 END,
subscription.activated_on, subscription.subscription_id) AS nth FROM subscription LEFT JOIN tariff ON tariff.tariff_id
= subscription.tariff_id WHERE subscription.activated_on < CAST(CAST('2026-07-01' AS DATE) AS DATE) AND
(subscription.ended_on IS NULL OR subscription.ended_on >= CAST(CAST('2026-07-01' AS DATE) AS DATE));

-- named_customer
SELECT customer_id, NULL AS kind, NULL AS name_key, NULL AS province, NULL AS city, NULL AS birth_year, NULL AS
gender, MIN(day) AS joined_on, NULL AS is_staff, NULL AS card_key, NULL AS phone_key, NULL AS address_key, NULL AS
payer_key, NULL AS household_id, NULL AS group_id FROM (SELECT customer_id, activated_on AS day FROM subscription
UNION ALL SELECT customer_id, day_on AS day FROM customer_day UNION ALL SELECT customer_id, month AS day FROM
usage_month UNION ALL SELECT customer_id, issued_on AS day FROM bill UNION ALL SELECT customer_id, paid_on AS day FROM
payment UNION ALL SELECT customer_id, acted_on AS day FROM collection_action UNION ALL SELECT customer_id, opened_on
AS day FROM fraud_case UNION ALL SELECT customer_id, CAST(contacted_at AS DATE) AS day FROM contact UNION ALL SELECT
customer_id, CAST(opened_at AS DATE) AS day FROM ticket UNION ALL SELECT customer_id, answered_on AS day FROM
survey_response UNION ALL SELECT customer_id, assigned_on AS day FROM assigned_member UNION ALL SELECT customer_id,
from_on AS day FROM holding UNION ALL SELECT customer_id, opened_on AS day FROM opportunity) AS named WHERE NOT
customer_id IS NULL GROUP BY customer_id;

-- service_case
SELECT customer_id, channel AS event, contacted_at AS opened_at, NULL AS closed_at, CAST(wait_s AS DECIMAL(18, 3)) AS
seconds, 0 AS overdue FROM contact WHERE contacted_at >= CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL '1 DAY' *
CAST(30 AS INT) AND contacted_at < CAST(CAST('2026-07-01' AS DATE) AS DATE) UNION ALL SELECT customer_id, kind AS
event, opened_at, closed_at, CAST(CASE WHEN closed_at < CAST(CAST('2026-07-01' AS DATE) AS DATE) THEN
CAST(EXTRACT(epoch FROM DATE_TRUNC('SECOND', CAST(closed_at AS TIMESTAMP)) - DATE_TRUNC('SECOND', CAST(opened_at AS
TIMESTAMP))) AS BIGINT) END AS DECIMAL(18, 3)) AS seconds, CASE WHEN due_at < CAST(CAST('2026-07-01' AS DATE) AS DATE)
AND (closed_at IS NULL OR closed_at > due_at) THEN 1 ELSE 0 END AS overdue FROM ticket WHERE opened_at >=
CAST(CAST('2026-07-01' AS DATE) AS DATE) - INTERVAL '1 DAY' * CAST(30 AS INT) AND opened_at < CAST(CAST('2026-07-01'
AS DATE) AS DATE);

-- service_spell
SELECT customer_id, product_id AS service, from_on, to_on FROM holding WHERE from_on < CAST(CAST('2026-07-01' AS DATE)
AS DATE) UNION ALL SELECT customer_id, service, activated_on AS from_on, ended_on AS to_on FROM subscription WHERE
activated_on < CAST(CAST('2026-07-01' AS DATE) AS DATE);
