import unittest

from colibri_guest.context import Context
from colibri_guest.http_request import HttpRequest


def root(tenant, **more):
    request = {"method": "GET", "path": "/a", "query": "", "headers": [], **more}
    given = {"id": "1", "tenant": tenant, "app": "shop", "function": "cart", "revision": "r1", "request": request}
    return HttpRequest(Context(given, 1000), None).root


class Root(unittest.TestCase):
    def test_is_the_functions_own_url_where_it_was_called_by_that(self):
        self.assertEqual(root("default"), "/fn/shop/cart")
        self.assertEqual(root("acme"), "/fn/@acme/shop/cart")

    def test_is_nothing_where_a_trigger_claims_the_path(self):
        self.assertEqual(root("acme", params={}), "")
        self.assertEqual(root("default", params={"id": "7"}), "")
