"""From raw extracts to canonical tables that notebooks read, and to what is known of each customer on a day."""

from workbench.warehouse.aftermath import (
    campaign_series,
    campaign_windows,
    closed_campaigns,
    exposures,
    other_contacts,
    province_panel,
)
from workbench.warehouse.arrears import account_months, bill_history, collection_stages, credit_histories
from workbench.warehouse.campaigns import campaign_arms
from workbench.warehouse.cases import fraud_cases
from workbench.warehouse.churn import churn_panel
from workbench.warehouse.connect import Warehouse
from workbench.warehouse.contracts import contract_margins
from workbench.warehouse.features import customer_features, feature_dictionary, require_use
from workbench.warehouse.holdings import service_holdings
from workbench.warehouse.leaving import complaint_outcomes, customer_base, customer_lives
from workbench.warehouse.opened import open_warehouse
from workbench.warehouse.outcomes import survey_outcomes
from workbench.warehouse.overview import (
    addressed,
    customer_events,
    customer_facts,
    customer_view,
    departments,
    require_customer,
    tables_behind,
)
from workbench.warehouse.pseudonyms import read_key
from workbench.warehouse.purchases import purchases
from workbench.warehouse.servicing import business_accounts, monthly_values, servicing
from workbench.warehouse.usage import service_use, usage_profile

__all__ = [
    "Warehouse",
    "account_months",
    "addressed",
    "bill_history",
    "business_accounts",
    "campaign_arms",
    "campaign_series",
    "campaign_windows",
    "churn_panel",
    "closed_campaigns",
    "collection_stages",
    "complaint_outcomes",
    "contract_margins",
    "credit_histories",
    "customer_base",
    "customer_events",
    "customer_facts",
    "customer_features",
    "customer_lives",
    "customer_view",
    "departments",
    "exposures",
    "feature_dictionary",
    "fraud_cases",
    "monthly_values",
    "open_warehouse",
    "other_contacts",
    "province_panel",
    "purchases",
    "read_key",
    "require_customer",
    "require_use",
    "service_holdings",
    "service_use",
    "servicing",
    "survey_outcomes",
    "tables_behind",
    "usage_profile",
]
