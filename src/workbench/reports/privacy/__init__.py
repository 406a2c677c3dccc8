"""Who is known, and to whom? Look for clear identifiers, forget a customer, turn a pseudonym back; each is logged."""
